# SPDX-License-Identifier: MIT OR Apache-2.0
# What goes wrong goes wrong in the same way.
exec 2>&1
mkdir d && echo x >f && ln -s loop loop && ln -s f l
cat nothing; cat d; cat f/x; cat loop; echo >d; mkdir d; mkdir f/x; mkdir n/x; rmdir f; rmdir nothing; unlink d
rm nothing; mv nothing x; mv d f; mv f d/e/g; ln f f; ln nothing x; ln -s x f; ln d hard; chmod 600 nothing
touch n/x; truncate -s 1 d; cat "$(printf '%0300d' 1)"; ls /proc/self/fd/77; cat /proc/1/nothing; echo x >/dev/full
ls nothing/; cat f/; readlink f; readlink -v f; stat nothing; cd f; cd nothing; exec 7<f; cat <&8; cat >&7 </dev/null; echo x >&7
setfattr -n bad -v x f; getfattr -n user.none f; setfattr -x user.none f; mknod n q; mkfifo f
./f; ./d; ./nothing; sh -c 'exec ./f'; chmod 755 f; ./f; echo '#!/nowhere' >f; ./f; printf '\177ELF' >f; ./f
yes | head -n 1; (trap '' PIPE; yes 2>&1 | head -n 1); echo "$?"
(ulimit -f 1; dd if=/dev/zero of=big bs=4096 count=10 2>/dev/null; echo "$?"); ls -s big >/dev/null; rm -f big
(ulimit -n 5; cat f 3</dev/null 4</dev/null); (ulimit -n 4; sh -c 'exec 3<f 4<f')
cat /proc/self/status | grep -c Name; cat /proc/self/comm; cat /proc/$$/comm; readlink /proc/self/exe; ls -d /proc/self/cwd/
cat </proc/self/stat | wc -w; test -r /dev/tty; echo "$?"; cat </dev/tty; cat /etc/shadow >/dev/null; echo "$?"; echo x >/proc/version; umask; umask 027; echo >m; mkdir md
kill -0 $$; echo "$?"; sleep 0.01 & wait $!; echo "$?"; (kill -9 $(exec sh -c 'echo $PPID')); echo "$?"
exit 0
