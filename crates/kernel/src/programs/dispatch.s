; Runs at an attached hook for every thread: hands over to the program of the thread's domain.
;
; Most threads are in no domain, and a hash lookup is the expensive part, so `presence` is asked first: a
; counter and a hint for each of 16,384 groups of addresses of tasks.
; * The counter is of threads in domains. Each is counted before its entry is made and until after its entry is
;   gone, so 0 says that this thread is in none. More than that it does not say.
; * The hint is the address of a task, shifted, xor the slot of its domain. Only the task itself writes it, here,
;   from its entry; the gate takes it away before the task's domain changes, task_free before the address may
;   be another's. It is read and written in one piece. A hint of another task says nothing.
;
; Else the thread's entry counts: its domain (number and slot) and the hooks it has programs for. A lookup takes no lock,
; so no entry means no domain: there is no "don't know". The slot is not another domain's before this thread is
; gone, because the domain counts it. A program that should be there and is not is a denial, since a tail call
; that finds nothing simply goes on.
.rule dispatch
    *(u64 *)(r10 - 16) = r1
    call 35                             ; bpf_get_current_task
    r2 = r0
    r2 >>= 8
    r2 &= {groups}
    r1 = value presence
    r1 += r2
    r2 = *(u64 *)(r1 + 0)
    if r2 == 0 goto allow
    *(u64 *)(r10 - 8) = r0
    *(u64 *)(r10 - 24) = r1
    r0 <<= 6
    r3 = *(u64 *)(r1 + 8)               ; hint
    r3 ^= r0
    if r3 > {slots} goto ask
    r1 = *(u64 *)(r10 - 16)
    r2 = map programs
    call 12                             ; bpf_tail_call
ask:
    lookup threads, r10 - 8
    if r0 == 0 goto allow
    r1 = *(u64 *)(r0 + 8)               ; hooks
    r2 = {hook} ll
    r1 &= r2
    if r1 == 0 goto allow
    r3 = *(u32 *)(r0 + 0)               ; domain
    r3 &= {slots}
    r1 = *(u64 *)(r10 - 8)
    r1 <<= 6
    r1 ^= r3
    r2 = *(u64 *)(r10 - 24)
    *(u64 *)(r2 + 8) = r1
    r1 = *(u64 *)(r10 - 16)
    r2 = map programs
    call 12                             ; bpf_tail_call
    r0 = -1
    exit
allow:
    r0 = 0
    exit
