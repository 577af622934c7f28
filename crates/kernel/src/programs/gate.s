; task_prctl: a thread with a token enters the domain the token is for.
;
; Tokens are used once. The thread must have no_new_privs or CAP_SYS_ADMIN in its user namespace, and be
; in the domain the new one extends. A thread that uses io_uring may have workers, which act for it and would
; stay outside; programs begin without. A token that is not known may be another engine's: 0 leaves it to
; others, in the end to the kernel, which does not know the option.
;
; Against the collector, which deletes a domain's tokens and then reads its count: the thread is counted
; and noted FIRST, and the token deleted AFTER. So whoever finds its token still there was counted before
; the collector looked; whoever does not was too late, or another thread was faster, and goes back to
; where it was. Going back cannot fail: an entry is changed in place, and one without a domain (0, no
; hooks) means the same as none. Nobody but this thread acts on its entry while it is in here, and
; the boundary, which reads it, sees a domain the thread was in or is about to be in.
;
; For the dispatcher the thread is present before its entry says so, and its hint is gone before its entry
; changes.
;
; A third argument makes it a question instead, which anybody may ask: which domain of which engine am I in? The
; second argument is then the engine's number, or 0 for the first that has this thread in a domain; the third is
; which byte is asked for, from 1: eight of the domain, four of the engine's number. The answer is the errno
; 1024 + byte, which means nothing else. An engine that is not meant, or has this thread in no domain, leaves it
; to others, in the end to the kernel. Only the thread itself changes its entry, so the bytes fit together.
.rule gate
    r6 = r1
    r1 = *(u64 *)(r6 + 0)               ; option
    if w1 != {option} goto other
    r1 = *(u64 *)(r6 + 8)               ; token
    *(u64 *)(r10 - 8) = r1
    call 158                            ; bpf_get_current_task_btf
    r7 = r0
    *(u64 *)(r10 - 16) = r7
    r8 = *(u64 *)(r6 + 16)              ; the byte asked for, 0 to enter
    if r8 != 0 goto ask
    r1 = *(u64 *)(r7 + {atomic_flags})
    if r1 & 1 goto may                  ; no_new_privs
    r1 = *(u64 *)(r7 + {cred})
    r1 = *(u64 *)(r1 + {cap_effective})
    if r1 & 0x200000 goto may           ; CAP_SYS_ADMIN
    r0 = -{eacces}
    exit
may:
    r1 = {io_uring}
    r1 = le64 r1                        ; a number: pointers the verifier may take for never NULL
    if r1 != 0 goto workers
    lookup tokens, r10 - 8
    if r0 == 0 goto other
    r1 = *(u64 *)(r0 + 0)               ; domain
    *(u64 *)(r10 - 32) = r1
    r1 = *(u64 *)(r0 + 8)               ; hooks
    *(u64 *)(r10 - 24) = r1
    r8 = *(u64 *)(r0 + 16)              ; the domain it extends, 0 for none
    lookup threads, r10 - 16
    if r0 != 0 goto compare
    if r8 != 0 goto elsewhere
    r1 = 0
    *(u64 *)(r10 - 48) = r1
    *(u64 *)(r10 - 40) = r1
    update threads, r10 - 16, r10 - 48
    if r0 != 0 goto full
    lookup threads, r10 - 16
    if r0 == 0 goto full
compare:
    r7 = r0                             ; the thread's entry
    r1 = *(u64 *)(r7 + 0)
    if r1 != r8 goto elsewhere
    r1 = *(u64 *)(r7 + 8)
    *(u64 *)(r10 - 40) = r1             ; hooks of the domain it leaves
    r1 = *(u64 *)(r10 - 32)
    r1 &= {slots}
    *(u32 *)(r10 - 52) = r1
    lookup counts, r10 - 52
    if r0 == 0 goto full
    r9 = r0
    r1 = 1
    lock *(u64 *)(r9 + 0) += r1
    r1 = *(u64 *)(r10 - 16)
    r1 = le64 r1                       ; as a number
    r1 >>= 8
    r1 &= {groups}
    r6 = value presence
    r6 += r1
    r1 = 0
    *(u64 *)(r6 + 8) = r1               ; hint
    if r8 != 0 goto present
    r1 = 1
    lock *(u64 *)(r6 + 0) += r1
present:
    r1 = *(u64 *)(r10 - 24)
    *(u64 *)(r7 + 8) = r1
    r1 = *(u64 *)(r10 - 32)
    *(u64 *)(r7 + 0) = r1
    delete tokens, r10 - 8
    if r0 != 0 goto back
    if r8 == 0 goto in
    r8 &= {slots}
    *(u32 *)(r10 - 52) = r8
    lookup counts, r10 - 52
    if r0 == 0 goto in
    r1 = -1
    lock *(u64 *)(r0 + 0) += r1
in:
    r0 = -{entered}
    exit
back:
    r1 = *(u64 *)(r10 - 40)
    *(u64 *)(r7 + 8) = r1
    *(u64 *)(r7 + 0) = r8
    r1 = -1
    lock *(u64 *)(r9 + 0) += r1
    if r8 != 0 goto other
    lock *(u64 *)(r6 + 0) += r1
    delete threads, r10 - 16
other:
    r0 = 0
    exit
elsewhere:
    r0 = -{estale}
    exit
workers:
    r0 = -{ebusy}
    exit
full:
    r0 = -{eagain}
    exit
ask:
    r6 = *(u64 *)(r6 + 8)               ; the engine asked for
    if r6 == 0 goto meant
    if r6 != {engine} goto other
meant:
    if r8 > 12 goto other
    lookup threads, r10 - 16
    if r0 == 0 goto other
    r1 = *(u64 *)(r0 + 0)
    if r1 == 0 goto other
    r8 -= 1
    if r8 < 8 goto byte
    r1 = {engine}
byte:
    r8 &= 7
    r8 <<= 3
    r1 >>= r8
    r1 &= 255
    r0 = -{byte}
    r0 -= r1
    exit
