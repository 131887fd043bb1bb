//! The log as an operator meets it: it never holds up the hub, strangers cannot fill it, and signals meant for other
//! servers' logs are survived.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::*;

/// With a stalled reader on standard error the hub once froze after a few hundred lines, and did not end on SIGTERM.
#[test]
fn a_log_that_nobody_reads_costs_lines_only() {
    block_on(async {
        let mut process = ProcessHub::on(Database::fresh(Db::Sqlite).unwrap()).await;
        process.signal("TERM");
        assert!(process.exited(DEADLINE).await.success());
        process.leave_log_unread();
        process.set_env(&[("HXA_CONNECT_LOG_LEVEL", "debug"), ("RUST_LOG", "trace")]);
        process.start().await;
        let hub = process.hub.clone();
        let mut dropped = 0.0;
        for _ in 0..500 {
            for _ in 0..20 {
                hub.anonymous().get("/livez").await.ok();
            }
            dropped = hub.metric("hub_log_lines_dropped_total").await;
            if dropped > 0.0 {
                break;
            }
        }
        assert!(dropped > 0.0, "the log was not full");
        hub.with_org("a").await;
        process.signal("TERM");
        assert!(process.exited(DEADLINE).await.success());
        assert!(process.read_unread_log().contains("hub is ready"));
    });
}

#[test]
fn signals_for_the_logs_of_other_servers_are_ignored() {
    block_on(async {
        let mut process = ProcessHub::on(Database::fresh(Db::Sqlite).unwrap()).await;
        for name in ["HUP", "USR1", "USR2", "HUP"] {
            process.signal(name);
            let line = format!(
                "ignored a signal: there is no log file to reopen, and settings are read only at startup signal=SIG{name}"
            );
            process.logged(&line).await;
            process.hub.anonymous().get("/readyz").await.ok();
        }
        process.signal("TERM");
        assert!(process.exited(DEADLINE).await.success());
    });
}

/// Each malformed request of a stranger was once an error in the log.
#[test]
fn strangers_neither_alarm_the_operator_nor_fill_the_log() {
    block_on(async {
        let process = ProcessHub::on(Database::fresh(Db::Sqlite).unwrap()).await;
        let before = process.log().lines().count();
        let long = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &[b'a'; 200_000]].concat();
        let upload = b"POST /api/send HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
        let cases: [&[u8]; 7] = [
            b"GARBAGE\r\n\r\n",
            b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / HTTP/1.1\r\nho st: x\r\n\r\n",
            upload,
            &long,
        ];
        let address = process.hub.url().trim_start_matches("http://").to_owned();
        for case in cases.iter().cycle().take(20 * cases.len()) {
            let mut stranger = TcpStream::connect(&address).unwrap();
            stranger.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            // The hub may have closed already.
            let _ = stranger.write_all(case);
            let _ = stranger.shutdown(std::net::Shutdown::Write);
            let _ = stranger.read_to_end(&mut Vec::new());
        }
        process.hub.anonymous().get("/livez").await.ok();
        let log = process.log();
        let news: Vec<_> = log.lines().skip(before).collect();
        let alarm = news.iter().find(|line| line.contains(" ERROR ") || line.contains(" WARN "));
        assert!(alarm.is_none(), "{alarm:?}");
        assert!(news.len() < 50, "{news:#?}");
    });
}
