; SPDX-License-Identifier: MIT OR Apache-2.0
;
; The rules of `landlock sandbox`: files that are not at or beneath one of the
; allowed ones cannot be opened, read, written or mapped, with EACCES; if there
; are cgroups, only in and beneath these.
;
; The cookie says which lists there are: 4 with 1 for paths and 2 for cgroups.
; So it is 5 for paths alone, the cookie of the sample of August 2016.

.rule file_open
.event FILE_OPEN
.license "Dual MIT/GPL"
.map allowed fs 10
.map cgroups cgroup 10
    r6 = r1
    r7 = *(u16 *)(r6 + 4)               ; ctx->cookie
    if r7 & 4 goto asked
    goto allow
asked:
    if r7 & 1 goto paths
    goto where
paths:
    r1 = 0
    r2 = map allowed
    r3 = 1                              ; BPF_MAP_ARRAY_OP_OR
    r4 = *(u64 *)(r6 + 8)               ; ctx->args[0]: the file
    call cmp_fs_beneath
    if r0 == 0 goto allow
    if r0 == -2 goto allow              ; -ENOENT: memory without a file
where:
    if r7 & 2 goto groups
    goto deny
groups:
    r1 = 0
    r2 = map cgroups
    r3 = 1
    call cmp_cgroup_beneath
    if r0 != 0 goto allow
deny:
    r0 = 13                             ; EACCES
    exit
allow:
    r0 = 0
    exit

.rule file_permission
.event FILE_PERMISSION
.license "Dual MIT/GPL"
.map allowed fs 10
.map cgroups cgroup 10
    r6 = r1
    r7 = *(u16 *)(r6 + 4)
    if r7 & 4 goto asked
    goto allow
asked:
    if r7 & 1 goto paths
    goto where
paths:
    r1 = 0
    r2 = map allowed
    r3 = 1
    r4 = *(u64 *)(r6 + 8)
    call cmp_fs_beneath
    if r0 == 0 goto allow
    if r0 == -2 goto allow
where:
    if r7 & 2 goto groups
    goto deny
groups:
    r1 = 0
    r2 = map cgroups
    r3 = 1
    call cmp_cgroup_beneath
    if r0 != 0 goto allow
deny:
    r0 = 13
    exit
allow:
    r0 = 0
    exit

.rule mmap_file
.event MMAP_FILE
.license "Dual MIT/GPL"
.map allowed fs 10
.map cgroups cgroup 10
    r6 = r1
    r7 = *(u16 *)(r6 + 4)
    if r7 & 4 goto asked
    goto allow
asked:
    if r7 & 1 goto paths
    goto where
paths:
    r1 = 0
    r2 = map allowed
    r3 = 1
    r4 = *(u64 *)(r6 + 8)
    call cmp_fs_beneath
    if r0 == 0 goto allow
    if r0 == -2 goto allow
where:
    if r7 & 2 goto groups
    goto deny
groups:
    r1 = 0
    r2 = map cgroups
    r3 = 1
    call cmp_cgroup_beneath
    if r0 != 0 goto allow
deny:
    r0 = 13
    exit
allow:
    r0 = 0
    exit
