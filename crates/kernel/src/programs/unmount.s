; sb_umount: a thread in a domain takes no bpf file system away, whose pins go with its last mount; nor
; anything lazily, since that takes along what is mounted below.
.rule unmount
    r6 = *(u64 *)(r1 + 0)               ; the mount
    r7 = *(u64 *)(r1 + 8)               ; flags
{in_a_domain}
    if r7 & 2 goto deny                 ; MNT_DETACH
    r1 = *(u64 *)(r6 + {mnt_sb})
    r1 = *(u64 *)(r1 + {s_magic})
    r2 = {bpf_fs} ll
    if r1 == r2 goto deny
allow:
    r0 = 0
    exit
deny:
    r0 = -1
    exit
