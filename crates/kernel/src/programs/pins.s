; inode_unlink, inode_rmdir, inode_rename: a thread in a domain changes nothing in a bpf file system, where
; pins keep programs attached.
.rule pins
    r6 = *(u64 *)(r1 + 0)               ; the directory
{in_a_domain}
    r1 = *(u64 *)(r6 + {i_sb})
    r1 = *(u64 *)(r1 + {s_magic})
    r2 = {bpf_fs} ll
    if r1 == r2 goto deny
allow:
    r0 = 0
    exit
deny:
    r0 = -1
    exit
