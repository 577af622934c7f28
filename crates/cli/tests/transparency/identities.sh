# SPDX-License-Identifier: MIT OR Apache-2.0
# Root that becomes somebody else, in the ways programs do.
exec 2>&1
echo mine >mine && chmod 600 mine && echo open >open && chmod 666 open && mkdir all && chmod 1777 all
nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
$nobody cat mine; $nobody cat open; $nobody sh -c 'echo x >all/his; ls -ln all | tail -n 1 | cut -c1-10; rm mine; echo y >>open; echo z >mine'
$nobody chmod 644 all/his; $nobody chown 0 all/his; chown 1:2 all/his; $nobody cat all/his; $nobody touch open; $nobody touch -d 2000-01-01 open
setpriv --reuid 65534 --regid 65534 --groups 4242 cat mine; chgrp 4242 mine; chmod 640 mine
setpriv --reuid 65534 --regid 65534 --groups 4242 cat mine; setpriv --bounding-set -all --inh-caps -all cat mine
unshare -f -p sh -c 'echo $$'; unshare -U id -u; $nobody unshare -U sh -c 'cat mine; echo a >all/b; cat all/b'
mkdir -p root/bin root/lib64 root/lib && cp /bin/cat root/bin/ && for lib in $(/lib64/ld-linux-x86-64.so.2 --list /bin/cat | grep -o '/[^ ]*'); do mkdir -p "root$(dirname "$lib")" && cp -L "$lib" "root$lib"; done
echo inside >root/file && ln -s /file root/link && chroot root /bin/cat /file /link /../../file; chroot root /bin/cat /nothing
chroot --userspec=65534:65534 root /bin/cat /file; mkdir g && chgrp 4242 g && chmod 2775 g && echo >g/f && mkdir g/d; exit 0
