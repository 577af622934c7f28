# SPDX-License-Identifier: MIT OR Apache-2.0
"""Prints FILE<tab>PLACE for every file that these modules, and what they import, are made of.

Sources are compiled into the folder that is the argument, such that Python believes the result without asking for
the date of the source: the guest does not keep dates.
"""
import array, ctypes, encodings.ascii, encodings.latin_1, errno, fcntl, mmap, os, pty, signal, socket
import struct, subprocess, sys, tempfile, threading, time, traceback

known = [module for module in sys.modules.values() if getattr(module, "__file__", None)]
import importlib.util
import py_compile

for module in known:
    source = module.__file__
    print(source, source, sep="\t")
    if source.endswith(".py"):
        cached = importlib.util.cache_from_source(source)
        compiled = sys.argv[1] + "/" + module.__name__
        py_compile.compile(source, compiled, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        print(compiled, cached, sep="\t")
