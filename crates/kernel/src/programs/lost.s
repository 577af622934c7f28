; inode_free_security, file_free_security: what a handle stands for is no more, and its address may soon be
; another's. The note of it is made before that: memory of these is reused a while later, when no program that has
; begun before is running any more.
.rule lost
    r1 = *(u64 *)(r1 + 0)
    r1 = le64 r1                        ; a number
    *(u64 *)(r10 - 8) = r1
    lookup objects, r10 - 8
    if r0 == 0 goto end
    r1 = *(u32 *)(r0 + 0)               ; its place
    r1 &= {places}
    r6 = value losses
    r2 = r6
    r2 += r1
    r3 = 1
    *(u8 *)(r2 + {flags}) = r3
    r1 = 1
    lock *(u64 *)(r6 + 0) += r1
    delete objects, r10 - 8
end:
    r0 = 0
    exit
