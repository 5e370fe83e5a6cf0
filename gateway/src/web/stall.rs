//! Ends connections whose readers stall: an answer that nobody takes would hold what it reads from,
//! a place among those who watch and footage that cannot be used again.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// From the moment on when the system takes no more of an answer, the reader has this long to take
/// [`ENOUGH`] of it, or all. Players that pause come back with a range.
pub const STALL: Duration = Duration::from_secs(30);
/// Bytes: less in [`STALL`] is a reader who wants the place and not the answer.
pub const ENOUGH: usize = 16 << 10;

/// A connection whose writes fail when its reader stalls. Counted, `web_readers_cut_total`.
#[derive(Debug)]
pub(super) struct Stalling<S> {
    socket: S,
    limit: Duration,
    /// Runs while the reader owes; and what was taken since it began.
    owed: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Stalling<S> {
    pub(super) fn new(socket: S, limit: Duration) -> Self {
        Self {
            socket,
            limit,
            owed: None,
        }
    }

    fn written(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            if let (Ok(more), Some((_, taken))) = (&written, &mut self.owed) {
                *taken += more;
                if *taken >= ENOUGH {
                    self.owed = None;
                }
            }
            return Poll::Ready(written);
        }
        let limit = self.limit;
        let begin = || (Box::pin(tokio::time::sleep(limit)), 0);
        let (deadline, _) = self.owed.get_or_insert_with(begin);
        ready!(deadline.as_mut().poll(context));
        metrics::counter!("web_readers_cut_total").increment(1);
        let why = "the reader takes nothing of its answer";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, bytes);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// Called when everything was written: the reader owes nothing.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        self.owed = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const LIMIT: Duration = Duration::from_secs(30);
    const ANSWER: usize = 4 * ENOUGH;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_off() {
        let (socket, _reader) = duplex(64);
        let mut socket = Stalling::new(socket, LIMIT);
        let began = tokio::time::Instant::now();
        let ended = socket.write_all(&[0; ANSWER]).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_byte_now_and_then_is_cut_off_too() {
        let (socket, mut reader) = duplex(64);
        let reading = tokio::spawn(async move {
            while reader.read_u8().await.is_ok() {
                tokio::time::sleep(LIMIT / 10).await;
            }
        });
        let mut socket = Stalling::new(socket, LIMIT);
        let ended = socket.write_all(&[0; ANSWER]).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        reading.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_and_takes_enough_gets_all() {
        let (socket, mut reader) = duplex(64);
        let reading = tokio::spawn(async move {
            let (mut piece, mut taken) = (vec![0; ENOUGH], 0);
            while taken < ANSWER {
                tokio::time::sleep(LIMIT / 3).await;
                taken += reader.read_exact(&mut piece).await.unwrap();
            }
            taken
        });
        let mut socket = Stalling::new(socket, LIMIT);
        socket.write_all(&[0; ANSWER]).await.unwrap();
        socket.flush().await.unwrap();
        assert_eq!(reading.await.unwrap(), ANSWER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_between_two_answers_is_nobodys_fault() {
        let (socket, mut reader) = duplex(64);
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).await.unwrap();
            all.len()
        });
        let mut socket = Stalling::new(socket, LIMIT);
        for _ in 0..5 {
            socket.write_all(&[0; 200]).await.unwrap();
            socket.flush().await.unwrap();
            tokio::time::sleep(2 * LIMIT).await;
        }
        drop(socket);
        assert_eq!(reading.await.unwrap(), 1_000);
    }
}
