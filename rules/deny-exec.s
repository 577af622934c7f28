; SPDX-License-Identifier: MIT OR Apache-2.0
;
; Forbids starting programs: executing files, and mapping them as code. Walking
; through directories, which is the same action, is allowed.
;
; It does not stop an interpreter that is running already from reading a script.
; Libraries are code as well, so it is for a program that confines itself once
; they are loaded; a command started under it does not start.
;
; An example of a rule in assembly; the syntax is that of LLVM and the kernel's
; verifier.

.rule deny_exec
.event FS
.license "Dual MIT/GPL"
    r2 = *(u64 *)(r1 + 24)          ; ctx->arg2: the actions
    r0 = 0
    if r2 & 1 goto executes         ; LANDLOCK_ACTION_FS_EXEC
    exit
executes:
    r1 = *(u64 *)(r1 + 16)          ; ctx->arg1: the handle
    call handle_fs_get_mode
    if r0 s< 0 goto deny            ; nothing there that could be judged
    r0 &= 0xf000                    ; S_IFMT
    if r0 == 0x4000 goto allow      ; S_IFDIR
deny:
    r0 = 1
    exit
allow:
    r0 = 0
    exit
