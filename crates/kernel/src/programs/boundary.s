; ptrace_access_check and ptrace_traceme: a thread in a domain traces only threads in that domain and in
; those that extend it. So it goes for everything behind the same check: /proc/PID/mem, process_vm_readv,
; pidfd_getfd and so on. What is asked for does not matter, nor do capabilities.
;
; Domains are compared by slot and number together, and numbers are never given twice: what is left of a
; domain that was collected cannot be taken for one that has its slot now.
.rule boundary
    r8 = *(u64 *)(r1 + 0)               ; the other one
    call 158                            ; bpf_get_current_task_btf
    r7 = r{tracee}
    r6 = r{tracer}
    *(u64 *)(r10 - 8) = r6
    lookup threads, r10 - 8
    if r0 == 0 goto allow
    r9 = *(u64 *)(r0 + 0)               ; domain
    if r9 == 0 goto allow
    *(u64 *)(r10 - 8) = r7
    lookup threads, r10 - 8
    if r0 == 0 goto deny
    r1 = *(u64 *)(r0 + 0)
    if r1 == r9 goto allow
    *(u64 *)(r10 - 24) = r9
    *(u64 *)(r10 - 16) = r1
    lookup lineage, r10 - 24
    if r0 == 0 goto deny
allow:
    r0 = 0
    exit
deny:
    r0 = -1
    exit
