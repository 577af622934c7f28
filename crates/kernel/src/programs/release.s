; task_free: a task that is no more is in no domain. The address may become another task's right after.
.rule release
    r1 = *(u64 *)(r1 + 0)
    *(u64 *)(r10 - 8) = r1
    .insn 0x18, 1, 1, 0, {threads}
    .insn 0, 0, 0, 0, 0
    r2 = r10
    r2 += -8
    call 3                              ; bpf_map_delete_elem
    r0 = 0
    exit
