//! Open files of the test itself.

use std::fs::File;

use super::{open, register, soft_limit};
use crate::encode;
use crate::lint::lint_metric_names;

#[test]
fn the_soft_limit_is_read_out_of_the_kernels_table() {
    let table = "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max processes             7                    8                    processes\n\
                 Max open files            1024                 524288               files\n";
    assert_eq!(soft_limit(table), Some(1_024));
    assert_eq!(
        soft_limit("Max open files  unlimited  unlimited  files"),
        Some(u64::MAX)
    );
    assert_eq!(soft_limit("Max processes 7 8 processes"), None);
}

#[cfg(target_os = "linux")]
#[test]
fn files_that_are_open_are_counted() {
    let before = open().unwrap();
    // Other tests open and close files meanwhile, but not this many.
    let held: Vec<File> = (0..200).map(|_| File::open("/dev/null").unwrap()).collect();
    let during = open().unwrap();
    assert!(during >= before + 100, "{before} and then {during}");
    drop(held);
    let mut registry = prometheus_client::registry::Registry::with_prefix("waypost");
    register(&mut registry);
    let text = encode(&registry);
    assert!(text.contains("waypost_process_open_files_max "), "{text}");
    assert_eq!(lint_metric_names(&text), Vec::<String>::new());
}
