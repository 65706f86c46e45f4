//! Flags for limits of the cgroup: those of a run, and of `sbx update`.

use clap::{Args, ValueHint};
use std::ffi::OsString;

/// Flags for limits.
#[derive(Args, Debug, Default, Clone)]
pub struct Limits {
    /// Memory limit, in bytes, or with K, M, G; `max` is none
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<OsString>,
    /// Limit of the number of processes and threads
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub pids_limit: Option<OsString>,
    /// CPU limit, in CPUs, e.g. 1.5
    #[arg(long, value_name = "N")]
    pub cpus: Option<OsString>,
    /// Memory and swap space together, as --set limits.swap_max for what is left of --memory; -1 is no limit
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub memory_swap: Option<String>,
    /// Memory that is spared as long as others have some to give, as --set limits.memory_low
    #[arg(long, value_name = "SIZE", value_hint = ValueHint::Other)]
    pub memory_reservation: Option<String>,
    /// Share of the processors, as --set limits.cpu_weight; 1024 is usual
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other)]
    pub cpu_shares: Option<String>,
    /// Processors that may be used, as --set limits.cpus
    #[arg(long, value_name = "LIST", value_hint = ValueHint::Other)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes that may be used, as --set limits.mems
    #[arg(long, value_name = "LIST", value_hint = ValueHint::Other)]
    pub cpuset_mems: Option<String>,
    /// Share of the disks, as --set limits.io_weight; from 10 to 1000
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    pub blkio_weight: Option<String>,
    /// Bytes a second that may be read from a disk, as --set limits.io_max
    #[arg(long, value_name = "PATH:SIZE", value_hint = ValueHint::AnyPath)]
    pub device_read_bps: Vec<String>,
    /// Bytes a second that may be written to a disk
    #[arg(long, value_name = "PATH:SIZE", value_hint = ValueHint::AnyPath)]
    pub device_write_bps: Vec<String>,
    /// Reads from a disk a second
    #[arg(long, value_name = "PATH:N", value_hint = ValueHint::AnyPath)]
    pub device_read_iops: Vec<String>,
    /// Writes to a disk a second
    #[arg(long, value_name = "PATH:N", value_hint = ValueHint::AnyPath)]
    pub device_write_iops: Vec<String>,
}
