; task_prctl: a thread with a token enters the domain the token is for.
;
; Tokens are used once. The thread must have no_new_privs or CAP_SYS_ADMIN in its user namespace, and be
; in the domain the new one extends. A token that is not known may be another engine's: 0 leaves it to
; others, in the end to the kernel, which does not know the option.
.rule gate
    r6 = r1
    r1 = *(u64 *)(r6 + 0)               ; option
    if w1 != {option} goto other
    r1 = *(u64 *)(r6 + 8)               ; token
    *(u64 *)(r10 - 8) = r1
    call 158                            ; bpf_get_current_task_btf
    r7 = r0
    *(u64 *)(r10 - 16) = r7
    r1 = *(u64 *)(r7 + {atomic_flags})
    if r1 & 1 goto may                  ; no_new_privs
    r1 = *(u64 *)(r7 + {cred})
    r1 = *(u64 *)(r1 + {cap_effective})
    if r1 & 0x200000 goto may           ; CAP_SYS_ADMIN
    r0 = -{eacces}
    exit
may:
    .insn 0x18, 1, 1, 0, {tokens}
    .insn 0, 0, 0, 0, 0
    r2 = r10
    r2 += -8
    call 1                              ; bpf_map_lookup_elem
    if r0 == 0 goto other
    r1 = *(u64 *)(r0 + 0)               ; slot
    *(u64 *)(r10 - 32) = r1
    r1 = *(u64 *)(r0 + 8)               ; hooks
    *(u64 *)(r10 - 24) = r1
    r8 = *(u64 *)(r0 + 16)              ; slot of the domain it extends, 0 for none
    .insn 0x18, 1, 1, 0, {threads}
    .insn 0, 0, 0, 0, 0
    r2 = r10
    r2 += -16
    call 1                              ; bpf_map_lookup_elem
    r1 = 0
    if r0 == 0 goto compare
    r1 = *(u64 *)(r0 + 0)
compare:
    if r1 != r8 goto elsewhere
    .insn 0x18, 1, 1, 0, {tokens}
    .insn 0, 0, 0, 0, 0
    r2 = r10
    r2 += -8
    call 3                              ; bpf_map_delete_elem
    if r0 != 0 goto other               ; another thread was faster
    .insn 0x18, 1, 1, 0, {threads}
    .insn 0, 0, 0, 0, 0
    r2 = r10
    r2 += -16
    r3 = r10
    r3 += -32
    r4 = 0
    call 2                              ; bpf_map_update_elem
    if r0 != 0 goto full
    r0 = -{entered}
    exit
elsewhere:
    r0 = -{estale}
    exit
full:
    r0 = -{eagain}
    exit
other:
    r0 = 0
    exit
