; Runs at an attached hook for every thread: hands over to the program of the thread's domain.
;
; The thread's entry holds its domain (number and slot) and the hooks the domain has programs for. A hash
; lookup takes no lock, so no entry means no domain: there is no "don't know". The slot is not another
; domain's before this thread is gone, because the domain counts it. A program that should be there and is not
; is a denial, since a tail call that finds nothing simply goes on.
.rule dispatch
    r6 = r1
    call 158                            ; bpf_get_current_task_btf
    *(u64 *)(r10 - 8) = r0
    .insn 0x18, 1, 1, 0, {threads}
    .insn 0, 0, 0, 0, 0
    r2 = r10
    r2 += -8
    call 1                              ; bpf_map_lookup_elem
    if r0 == 0 goto allow
    r1 = *(u64 *)(r0 + 8)               ; hooks
    r2 = {hook} ll
    r1 &= r2
    if r1 == 0 goto allow
    r3 = *(u32 *)(r0 + 0)               ; domain
    r3 &= {slots}
    r1 = r6
    .insn 0x18, 2, 1, 0, {programs}
    .insn 0, 0, 0, 0, 0
    call 12                             ; bpf_tail_call
    r0 = -1
    exit
allow:
    r0 = 0
    exit
