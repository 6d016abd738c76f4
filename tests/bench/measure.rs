//! What processes take of the machine, as the kernel counts it.

use std::fs;

/// The kernel tells the CPU time of a process in hundredths of a second on every architecture that Linux runs on today.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of a process so far, user and system, all of its threads.
pub fn cpu_seconds(process: u32) -> f64 {
    let [own, _, _] = times(process).expect("a process that is measured lives");
    own
}

/// CPU seconds of the threads that live, to the nanosecond.
fn living_threads_cpu_seconds(process: u32) -> Option<f64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let nanoseconds = threads.filter_map(|thread| {
        let told = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse::<f64>().ok()
    });
    Some(nanoseconds.sum::<f64>() / 1e9)
}

/// CPU seconds of a process, of its children, and of those of them that have ended.
pub fn family_cpu_seconds(process: u32) -> f64 {
    let [own, ended, _] = times(process).expect("a process that is measured lives");
    // A child may end while they are looked through; then it counts a little too late.
    let living = children(process).filter_map(times);
    own + ended + living.map(|[own, ended, _]| own + ended).sum::<f64>()
}

/// The process that started this one.
pub fn parent(process: u32) -> Option<u32> {
    times(process).map(|[_, _, parent]| parent as u32)
}

/// The name of a process's program.
pub fn name(process: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// The most memory that a process ever had, in MiB.
pub fn peak_memory(process: u32) -> f64 {
    memory(process, "VmHWM:")
}

/// The memory that a process has, in MiB.
pub fn memory_now(process: u32) -> f64 {
    memory(process, "VmRSS:")
}

fn memory(process: u32, kind: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .expect("a process that is measured lives");
    let line = status.lines().find_map(|line| line.strip_prefix(kind));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.expect("the kernel tells the memory of a process") / 1024.0
}

fn children(of: u32) -> impl Iterator<Item = u32> {
    let processes = fs::read_dir("/proc").expect("the kernel lists processes");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(move |process| parent(*process) == Some(of))
}

/// CPU seconds of the process and of its ended children, and its parent.
fn times(process: u32) -> Option<[f64; 3]> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may hold blanks and brackets, so what is counted begins behind its end.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |field: usize| fields.get(field)?.parse::<f64>().ok();
    // Both are never more than the truth: the one is cut to hundredths, the other knows no thread that has ended.
    let in_ticks = (number(11)? + number(12)?) / TICKS_PER_SECOND;
    let own = living_threads_cpu_seconds(process).map_or(in_ticks, |exact| exact.max(in_ticks));
    Some([
        own,
        (number(13)? + number(14)?) / TICKS_PER_SECOND,
        number(1)?,
    ])
}

/// The sockets of a process, as the kernel numbers them.
pub fn sockets(process: u32) -> Vec<String> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return Vec::new();
    };
    // A descriptor may be closed while they are looked through.
    descriptors
        .filter_map(|entry| {
            let target = fs::read_link(entry.ok()?.path()).ok()?;
            let number = target.to_str()?.strip_prefix("socket:[")?;
            Some(number.trim_end_matches(']').to_owned())
        })
        .collect()
}
