# SPDX-License-Identifier: MIT OR Apache-2.0
# Everything an archive can hold, out and in again, and copied by other means.
set -eu
mkdir -p tree/deep/er && cd tree
echo plain >plain && chmod 640 plain && echo secret >read-only && chmod 400 read-only
echo s >sticky && chmod 1755 sticky && echo g >set-gid && chmod 2750 set-gid && echo u >set-uid && chmod 4711 set-uid
ln plain hard && ln -s plain soft && ln -s nowhere dangling && ln -s /proc/self/nothing magic && mkfifo fifo
setfattr -n user.colour -v blue plain && setfattr -n user.empty plain && setfattr -n user.colour -v red deep
mkdir closed && chmod 700 closed && mkdir shared && chmod 1777 shared && mkdir inherit && chmod 2775 inherit
dd if=/dev/zero of=sparse bs=1 count=1 seek=1000000 2>/dev/null
touch -d '2001-02-03 04:05:06.789' plain && touch -h -d '1999-01-01' soft && touch -d '1980-01-01' deep/er
(umask 077 && echo x >masked && mkdir masked-directory) && echo y >'a name
with a line'
cd ..
tar --xattrs -cf ../one.tar -C tree . && mkdir out && tar --xattrs --xattrs-include='*' -xpf ../one.tar -C out
getfattr -dR out | sort && find out -printf '%M %n %s %P %l\n' | grep -v '^d' | sort
cp -a tree copy && mv tree/plain tree/moved && cat copy/hard && cmp tree/hard copy/plain
tar -czf ../two.tgz out && tar -tzf ../two.tgz | sort && truncate -s 10 tree/sparse && tar -df ../one.tar -C tree 2>&1 || echo "differs: $?"
rm -rf copy/closed && rmdir copy/shared && find copy -type f -exec chmod u+x {} + && ls -A copy | sort
tar -xf ../nothing.tar 2>&1 || echo "fails with $?"
