//! The socket by itself: who is answered, what is bounded, and what is left behind.

use std::io::{Read, Write};

use super::*;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(work)
}

async fn echo(question: Vec<u8>) -> Vec<u8> {
    [b"you said ".to_vec(), question].concat()
}

#[test]
fn a_question_is_answered_and_the_file_is_private() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        assert!(ask(folder.path(), b"x").await.unwrap().is_none(), "nobody is there");
        let socket = ControlSocket::open(folder.path(), echo).unwrap();
        assert!(is_there(folder.path()));
        assert_eq!(ask(folder.path(), b"hello").await.unwrap().unwrap(), b"you said hello");
        let mode = fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        socket.close().await;
        assert!(!is_there(folder.path()), "the file stays behind");
        assert!(ask(folder.path(), b"x").await.unwrap().is_none());
    });
}

#[test]
fn one_hub_per_folder_and_a_dead_one_does_not_count() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        // What a killed hub leaves: the file without a listener.
        drop(StdListener::bind(folder.path().join(NAME)).unwrap());
        assert!(is_there(folder.path()));
        assert!(ask(folder.path(), b"x").await.unwrap().is_none());
        let socket = ControlSocket::open(folder.path(), echo).unwrap();
        assert!(ControlSocket::open(folder.path(), echo).is_err(), "it took the place of a living one");
        assert!(ask(folder.path(), b"x").await.unwrap().is_some());
        socket.close().await;
        fs::write(folder.path().join(NAME), "a file of somebody").unwrap();
        assert!(ControlSocket::open(folder.path(), echo).is_err());
        assert!(folder.path().join(NAME).exists(), "a file that is no socket is gone");
    });
}

#[test]
fn a_socket_that_was_replaced_is_left_alone() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let first = ControlSocket::open(folder.path(), echo).unwrap();
        fs::remove_file(folder.path().join(NAME)).unwrap();
        let second = ControlSocket::open(folder.path(), echo).unwrap();
        first.close().await;
        assert!(ask(folder.path(), b"x").await.unwrap().is_some());
        second.close().await;
    });
}

#[test]
fn long_folders_have_a_socket_too() {
    block_on(async {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("f".repeat(120));
        fs::create_dir(&folder).unwrap();
        let socket = ControlSocket::open(&folder, echo).unwrap();
        assert_eq!(ask(&folder, b"x").await.unwrap().unwrap(), b"you said x");
        socket.close().await;
        assert!(!is_there(&folder));
    });
}

#[test]
fn questions_are_bounded_and_a_silent_one_holds_nobody_for_long() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let socket = ControlSocket::open(folder.path(), echo).unwrap();
        let largest = vec![b'x'; usize::try_from(QUESTION_BYTES).unwrap()];
        assert!(ask(folder.path(), &largest).await.unwrap().is_some());
        // The hub hangs up on what is larger, perhaps before all of it is written.
        let larger = vec![b'x'; largest.len() + 1];
        assert!(ask(folder.path(), &larger).await.is_err());
        let mut silent = StdStream::connect(folder.path().join(NAME)).unwrap();
        silent.write_all(b"half a question").unwrap();
        let since = std::time::Instant::now();
        assert!(ask(folder.path(), b"x").await.unwrap().is_some());
        assert!(since.elapsed() < 2 * QUESTION_TIME, "{:?}", since.elapsed());
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest);
        assert_eq!(rest, GREETING, "half a question was answered");
        socket.close().await;
    });
}

#[test]
fn a_command_under_way_is_answered_before_the_hub_stops() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let socket = ControlSocket::open(folder.path(), |question| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            question
        })
        .unwrap();
        let path = folder.path().to_owned();
        let asked = actix_web::rt::spawn(async move { ask(&path, b"x").await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        socket.close().await;
        assert_eq!(asked.await.unwrap().unwrap().unwrap(), b"x");
    });
}
