//! Video4Linux's structures for 64-bit Linux.
//!
//! Crate `v4l` calls the kernel with these. The crate of this name on crates.io has the same
//! content generated at each build, which needs libclang on every machine that builds. The kernel
//! never changes what it once promised to programs, so generating once is enough. Every
//! structure's size, alignment and fields' places are checked when this is compiled.
#![allow(
    clippy::all,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unsafe_code,
    reason = "generated"
)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("these bindings are for 64-bit Linux: run drivers/v4l2-sys/generate for yours");

mod bindings;

pub use bindings::*;

// What travels between kernel and program is part of the numbers of its calls. These are the
// sizes that 64-bit kernels expect, written down once more by hand.
const _: () = {
    use std::mem::size_of;
    assert!(size_of::<v4l2_capability>() == 104);
    assert!(size_of::<v4l2_fmtdesc>() == 64);
    assert!(size_of::<v4l2_format>() == 208);
    assert!(size_of::<v4l2_requestbuffers>() == 20);
    assert!(size_of::<v4l2_buffer>() == 88);
    assert!(size_of::<v4l2_streamparm>() == 204);
    assert!(size_of::<v4l2_frmsizeenum>() == 44);
    assert!(size_of::<v4l2_frmivalenum>() == 52);
    assert!(size_of::<timeval>() == 16);
};
