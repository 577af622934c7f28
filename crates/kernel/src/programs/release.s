; task_free: a task that is no more is in no domain. The address may become another task's right after.
;
; The entry is emptied in place first, which cannot fail, and only then deleted, which can: some kernels
; refuse it when this runs in an interrupt that came while the same CPU changed the map. An entry left
; behind empty means the same as none, until its address is a task's again. The counts go down last, so
; that a domain that counts nobody has no entry, and nobody who has one is not present for the dispatcher. Its
; hint goes first.
.rule release
    r1 = *(u64 *)(r1 + 0)
    *(u64 *)(r10 - 8) = r1
    lookup threads, r10 - 8
    if r0 == 0 goto end
    r6 = *(u64 *)(r0 + 0)               ; domain
    r1 = *(u64 *)(r10 - 8)
    r1 = le64 r1                       ; as a number
    r1 >>= 8
    r1 &= {groups}
    r7 = value presence
    r7 += r1
    r1 = *(u64 *)(r10 - 8)
    r1 = le64 r1
    r1 <<= 6
    r2 = *(u64 *)(r7 + 8)               ; hint
    r2 ^= r1
    if r2 > {slots} goto another
    r1 = 0
    *(u64 *)(r7 + 8) = r1
another:
    r1 = 0
    *(u64 *)(r0 + 0) = r1
    *(u64 *)(r0 + 8) = r1
    delete threads, r10 - 8
    if r6 == 0 goto end
    r1 = -1
    lock *(u64 *)(r7 + 0) += r1
    r6 &= {slots}
    *(u32 *)(r10 - 12) = r6
    lookup counts, r10 - 12
    if r0 == 0 goto end
    r1 = -1
    lock *(u64 *)(r0 + 0) += r1
end:
    r0 = 0
    exit
