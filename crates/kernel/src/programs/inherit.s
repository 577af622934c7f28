; task_alloc: a new thread is in the domain of the one that makes it, before it runs. If that cannot be
; noted, there is no new thread.
;
; The child is counted, and present for the dispatcher, before it is noted. While this runs the domain cannot be collected: the thread that
; makes the child is in it. A fork that fails later on comes to task_free, which takes the child back.
.rule inherit
    r6 = *(u64 *)(r1 + 0)               ; the new task
    call 158                            ; bpf_get_current_task_btf
    *(u64 *)(r10 - 8) = r0
    lookup threads, r10 - 8
    if r0 == 0 goto free
    r1 = *(u64 *)(r0 + 0)               ; domain
    if r1 == 0 goto free
    *(u64 *)(r10 - 24) = r1
    r2 = *(u64 *)(r0 + 8)               ; hooks
    *(u64 *)(r10 - 16) = r2
    r1 &= {slots}
    *(u32 *)(r10 - 28) = r1
    lookup counts, r10 - 28
    if r0 == 0 goto full
    r7 = r0
    r1 = 1
    lock *(u64 *)(r7 + 0) += r1
    *(u64 *)(r10 - 8) = r6
    r6 = le64 r6                       ; as a number
    r6 >>= 8
    r6 &= {groups}
    r8 = value presence
    r8 += r6
    lock *(u64 *)(r8 + 0) += r1
    update threads, r10 - 8, r10 - 24
    if r0 == 0 goto free
    r1 = -1
    lock *(u64 *)(r8 + 0) += r1
    lock *(u64 *)(r7 + 0) += r1
full:
    r0 = -{eagain}
    exit
free:
    r0 = 0
    exit
