//! CPU and memory of processes on this machine, read from /proc. What cannot be read is None: a hub elsewhere has no
//! figures here.

use std::fs;

/// Ticks per second in `/proc/<pid>/stat`: fixed by the Linux ABI.
const TICKS: f64 = 100.0;

/// CPU and memory at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User plus system seconds since the process started.
    pub cpu: f64,
    /// Resident bytes.
    pub resident: u64,
}

/// Usage of one process.
pub fn usage(pid: u32) -> Option<Usage> {
    read(&pid.to_string())
}

/// Usage of this process.
pub fn own() -> Usage {
    read("self").unwrap_or_default()
}

/// CPU seconds of one thread of this process, by the number that [`thread`] gave.
pub fn thread_cpu(thread: &str) -> Option<f64> {
    cpu_of(&fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?)
}

/// The number of the calling thread.
pub fn thread() -> Option<String> {
    Some(fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.to_owned())
}

/// Usage of a process and its direct children together (a PostgreSQL server and its backends).
pub fn usage_with_children(pid: u32) -> Option<Usage> {
    let mut sum = usage(pid)?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|id| usage(id.parse().ok()?)) {
        sum.cpu += child.cpu;
        sum.resident += child.resident;
    }
    Some(sum)
}

/// How often the threads of a process went to sleep of their own accord since it started: what wakes up sleeps again.
pub fn sleeps(pid: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).ok();
    Some(threads.filter_map(|thread| sleeps_of(&status(thread.ok()?)?)).sum())
}

/// Files of this process besides its many sockets: standard streams, a listener, HTTP connections, the runtimes.
pub const OTHER_FILES: usize = 100;

/// How many files this process may open.
pub fn open_file_limit() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn read(pid: &str) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage { cpu: cpu_of(&stat)?, resident: resident_of(&status)? })
}

/// The name may hold blanks and brackets, so fields are counted after its last bracket: user time is the 12th.
fn cpu_of(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS)
}

fn sleeps_of(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_itself() {
        assert!(own().resident > 0);
        assert!(usage(u32::MAX).is_none());
        assert!(sleeps(std::process::id()).is_some() && sleeps(u32::MAX).is_none());
    }

    #[test]
    fn reads_its_thread() {
        assert!(thread_cpu(&thread().unwrap()).is_some());
    }

    #[test]
    fn sleeps_of_their_own_accord() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n";
        assert_eq!(sleeps_of(status), Some(150));
    }

    #[test]
    fn names_with_brackets() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0";
        assert_eq!(cpu_of(stat), Some(3.0));
    }
}
