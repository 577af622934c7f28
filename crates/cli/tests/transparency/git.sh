# SPDX-License-Identifier: MIT OR Apache-2.0
# A repository from init to gc, and a clone of it.
set -eu
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a
export GIT_AUTHOR_DATE='1500000000 +0000' GIT_COMMITTER_DATE='1500000000 +0000'
mkdir ../repositories && cd ../repositories
git -c init.defaultBranch=main init -q origin
cd origin
for n in $(seq 40); do mkdir -p "dir$((n % 5))" && seq "$n" 200 >"dir$((n % 5))/file$n"; done
printf '#!/bin/sh\necho run\n' >run && chmod 755 run && ln -s dir1 link
git add . && git commit -qm one
git checkout -q -b side && echo changed >>dir1/file1 && git mv dir2 moved && git commit -qam two
git checkout -q main && rm dir3/file3 && git commit -qam three
git merge -q --no-edit side && git log --format='%H %s' && git status --short && git fsck --strict
git gc -q && git count-objects -v | grep -E 'count|in-pack|packs'
git tag -a -m tagged v1 && git stash list && git worktree add -q ../tree side
cd ..
git clone -q origin copy && git clone -q --no-hardlinks --depth 1 "file://$PWD/origin" shallow
git -C copy checkout -q v1 && git -C copy status --short --branch && git -C copy fsck --full
echo more >copy/new && git -C copy add new && git -C copy commit -qm four && git -C copy push -q origin HEAD:refs/heads/pushed
git -C origin branch -a && git -C origin rev-parse pushed && git -C shallow log --oneline | wc -l
git -C copy clean -nxd && git -C copy archive --format=tar HEAD | tar t | sort | tail -3
cp -a copy/. ../work/ && rm -rf ../work/.git
git -C copy checkout -q nothing 2>&1 || echo "fails with $?"
