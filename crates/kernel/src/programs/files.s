; bpf_iter_task_file: what is behind the descriptors of the process that reads, as numbers: descriptor, file, dentry,
; mount, inode, superblock, and the inode's number.
.rule files
    r6 = r1
    r7 = *(u64 *)(r6 + 24)              ; file
    if r7 == 0 goto end
    r8 = *(u64 *)(r6 + 8)               ; task
    if r8 == 0 goto end
    call 14                             ; bpf_get_current_pid_tgid
    r0 >>= 32
    r1 = *(u32 *)(r8 + {tgid})
    if r0 != r1 goto end
    r1 = *(u64 *)(r6 + 16)              ; descriptor
    r1 <<= 32
    r1 >>= 32
    *(u64 *)(r10 - 56) = r1
    r1 = r7
    r1 = le64 r1                        ; a number
    *(u64 *)(r10 - 48) = r1
    r8 = *(u64 *)(r7 + {f_dentry})
    r1 = r8
    r1 = le64 r1
    *(u64 *)(r10 - 40) = r1
    r1 = *(u64 *)(r7 + {f_mnt})
    r1 = le64 r1
    *(u64 *)(r10 - 32) = r1
    r8 = *(u64 *)(r8 + {d_inode})
    r1 = r8
    r1 = le64 r1
    *(u64 *)(r10 - 24) = r1
    r1 = *(u64 *)(r8 + {i_sb})
    r1 = le64 r1
    *(u64 *)(r10 - 16) = r1
    r1 = *(u64 *)(r8 + {i_ino})
    *(u64 *)(r10 - 8) = r1
    r1 = *(u64 *)(r6 + 0)               ; meta
    r1 = *(u64 *)(r1 + {seq})
    r2 = r10
    r2 += -56
    r3 = 56
    call 127                            ; bpf_seq_write
end:
    r0 = 0
    exit
