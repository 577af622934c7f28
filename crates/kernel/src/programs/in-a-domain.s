    ; Goes to `allow` unless the running thread is in a domain. Clobbers r0 to r5 and the stack's first word.
    call 35                             ; bpf_get_current_task
    *(u64 *)(r10 - 8) = r0
    lookup threads, r10 - 8
    if r0 == 0 goto allow
    r1 = *(u64 *)(r0 + 0)
    if r1 == 0 goto allow
