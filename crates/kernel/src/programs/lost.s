; inode_free_security, file_free_security: what a handle stands for is no more, and its address may soon be
; another's. The note of it is made before that: memory of these is reused a while later, when no program that has
; begun before is running any more.
.rule lost
    r1 = *(u64 *)(r1 + 0)
    r1 = le64 r1                        ; a number
    *(u64 *)(r10 - 8) = r1
    .insn 0x18, 1, 1, 0, {objects}
    .insn 0, 0, 0, 0, 0
    r2 = r10
    r2 += -8
    call 1                              ; bpf_map_lookup_elem
    if r0 == 0 goto end
    r1 = *(u32 *)(r0 + 0)               ; its place
    r1 &= {places}
    .insn 0x18, 6, 2, 0, {losses}
    .insn 0, 0, 0, 0, 0
    r2 = r6
    r2 += r1
    r3 = 1
    *(u8 *)(r2 + {flags}) = r3
    r1 = 1
    lock *(u64 *)(r6 + 0) += r1
    .insn 0x18, 1, 1, 0, {objects}
    .insn 0, 0, 0, 0, 0
    r2 = r10
    r2 += -8
    call 3                              ; bpf_map_delete_elem
end:
    r0 = 0
    exit
