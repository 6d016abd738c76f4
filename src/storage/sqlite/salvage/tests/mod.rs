//! Databases that are damaged in every place, and a salvage that is interrupted at every step.

mod damages;
mod following;
mod interruptions;
mod logs;
mod lost_logs;
mod site;
