; bpf_iter_bpf_map: the numbers of all maps the kernel has.
.rule maps
    r2 = *(u64 *)(r1 + 8)               ; map
    if r2 == 0 goto end
    r2 = *(u32 *)(r2 + {id})
    *(u32 *)(r10 - 4) = r2
    r1 = *(u64 *)(r1 + 0)               ; meta
    r1 = *(u64 *)(r1 + 0)               ; seq
    r2 = r10
    r2 += -4
    r3 = 4
    call 127                            ; bpf_seq_write
end:
    r0 = 0
    exit
