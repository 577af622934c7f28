; Every use of a file of /proc/sys, at the root of control groups: a thread in a domain writes nothing under
; kernel/. One of them switches off, on kernels before 7, the calls of all programs at hooks
; (kernel.ftrace_enabled); others name programs that the kernel starts outside of every domain. 1 allows.
.rule sysctl
    r6 = r1
    r1 = *(u32 *)(r6 + 0)               ; is it a write?
    if r1 == 0 goto allow
{in_a_domain}
    r1 = 0
    *(u64 *)(r10 - 16) = r1
    r1 = r6
    r2 = r10
    r2 += -16
    r3 = 8
    r4 = 0
    call 101                            ; bpf_sysctl_get_name, of which the beginning is enough
    r1 = *(u64 *)(r10 - 16)
    r2 = {kernel} ll
    if r1 == r2 goto deny
allow:
    r0 = 1
    exit
deny:
    r0 = 0
    exit
