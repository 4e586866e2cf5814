// Between gateway and key server: CallBatch and ReplyBatch messages, each behind its length
// (u32le), over a Unix socket.
//
// Under load many requests share one batch, one log group and one fsync: while a batch is in
// flight, calls queue; when its reply arrives all that queued goes out as the next batch. Buffers
// that held a batch are wiped after use.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/rpc/event_loop.h"
#include "strongroom/v1/keyservice.pb.h"

namespace strongroom::rpc {

inline constexpr size_t kFrameBytesMax = 16u << 20;

// Cuts a byte stream into frames. Wiped when destroyed, and behind each frame.
class FrameReader {
 public:
  explicit FrameReader(size_t frame_bytes_max = kFrameBytesMax);
  ~FrameReader();
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  // Where the stream's next bytes go: never empty. Ends the loan of the last frame.
  MutableBytes space();
  void filled(size_t size);  // So many of them came.
  // The next whole frame, borrowed until the next call of space() or next(); nullopt: more bytes
  // are needed.
  //   kInvalidArgument  Its length is above the limit. Nothing was allocated for it; the stream is
  //   lost.
  Result<std::optional<Bytes>> next();

 private:
  void drop_loan();
  size_t frame_bytes_max_;
  std::string buffer_;
  size_t begin_ = 0;  // Of the first byte not yet handed out.
  size_t end_ = 0;    // Behind the last byte that came.
  size_t loan_ = 0;   // Bytes in front of begin_ that are on loan.
};

// Appends `message` as one frame.
//   kTooBroad  It is longer than kFrameBytesMax; `out` is as before.
Result<void> append_frame(const google::protobuf::MessageLite& message, std::string& out);

// The gateway's end. Reconnects by itself, with backoff. Borrows the loop.
class KeyServiceLink {
 public:
  struct Options {
    size_t batch_calls_max = 256;
    size_t batch_bytes_max = 4u << 20;  // A larger call goes alone.
    int batches_in_flight = 2;
    // Another batch goes out beside one in flight from so many calls on: each is a sync of its own,
    // and fewer calls had better wait for the next.
    size_t batch_calls_worth = 8;
    int backoff_ms_min = 10;
    int backoff_ms_max = 1000;
  };

  // Tries to connect once, and in the background ever after if that fails.
  //   kInvalidArgument  The path is too long for a Unix socket.
  static Result<std::unique_ptr<KeyServiceLink>> connect(EventLoop& loop, std::string path,
                                                         Options options);
  static Result<std::unique_ptr<KeyServiceLink>> connect(EventLoop& loop, std::string path) {
    return connect(loop, std::move(path), Options{});
  }
  ~KeyServiceLink();  // Calls without a reply fail with kUnavailable, inside the destructor.
  KeyServiceLink(const KeyServiceLink&) = delete;
  KeyServiceLink& operator=(const KeyServiceLink&) = delete;

  // On the loop's thread. `done` runs there too, never inside call(). A CallError comes as an Error
  // with its code, its numbers and its text; a Reply given to `done` never holds one. The callee
  // wipes the Reply it got (wipe.h).
  //   kUnavailable  No connection, or it broke: the call may have been carried out. Retry with the
  //   same request id.
  void call(v1::Call&& call, std::function<void(Result<v1::Reply>)> done);
  // From any other thread, never from the loop's. Blocks until the loop, which must be running, has
  // the reply.
  Result<v1::Reply> call_blocking(v1::Call call);
  bool connected() const;         // On the loop's thread.
  uint64_t batches_sent() const;  // On the loop's thread.

 private:
  struct Impl;
  explicit KeyServiceLink(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// The key server's end. Batches are handled one at a time, those of several gateways in turn.
// Borrows the loop.
class KeyServiceListener {
 public:
  // Answers each call of the batch, in order. Runs on the loop's thread and holds it up until it
  // returns.
  using Handler = std::function<v1::ReplyBatch(v1::CallBatch&&)>;

  // The socket is made with mode 0600; one that nobody listens on is replaced. Only processes of
  // this user, or root, are talked to.
  //   kInvalidArgument     The path is too long.
  //   kFailedPrecondition  Somebody listens there, or what is there is no socket.
  //   kUnavailable         It cannot be made.
  static Result<std::unique_ptr<KeyServiceListener>> listen(EventLoop& loop, std::string path,
                                                            Handler handler);
  ~KeyServiceListener();  // Removes the socket and closes all connections.
  KeyServiceListener(const KeyServiceListener&) = delete;
  KeyServiceListener& operator=(const KeyServiceListener&) = delete;

 private:
  struct Impl;
  explicit KeyServiceListener(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace strongroom::rpc
