; SPDX-License-Identifier: MIT OR Apache-2.0
;
; Forbids removing names: unlink, rmdir, and rename, which removes the old name and
; what it replaces.
;
; It does not keep a file's content: truncating and overwriting are allowed.

.rule no_removal
.event FS
.license "Dual MIT/GPL"
    r1 = *(u64 *)(r1 + 24)          ; ctx->arg2: the actions
    r0 = 0
    if r1 & 0x20 goto removes       ; LANDLOCK_ACTION_FS_REMOVE
    exit
removes:
    r0 = 1
    exit
