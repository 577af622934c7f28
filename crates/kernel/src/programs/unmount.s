; sb_umount: a thread in a domain takes no bpf file system away, whose pins go with its last mount; nor
; anything lazily, since that takes along what is mounted below.
.rule unmount
    r6 = *(u64 *)(r1 + 0)               ; the mount
    r7 = *(u64 *)(r1 + 8)               ; flags
    call 158                            ; bpf_get_current_task_btf
    *(u64 *)(r10 - 8) = r0
    .insn 0x18, 1, 1, 0, {threads}
    .insn 0, 0, 0, 0, 0
    r2 = r10
    r2 += -8
    call 1                              ; bpf_map_lookup_elem
    if r0 == 0 goto allow
    r1 = *(u64 *)(r0 + 0)
    if r1 == 0 goto allow
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
