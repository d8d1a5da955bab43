// The inside of a Connection: socket, TLS, queues and timers. Only connection.cpp and network.cpp include this.
//
//     handshaking --start()--> open --close() or goodbye--> parting --> finished
//                    any failure, from any state -------------------> finished
//
// parting: what is queued and then a goodbye is written, what arrives is dropped, until the peer's goodbye, the
// end of its stream or the deadline. finished: the socket is closed and nothing is posted to the network thread
// any more, so that the io_context runs empty and ends.
//
// Two halves: members under mutex_ are shared with the callers; the others belong to the network thread.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "wire/connection.h"
#include "wire/frame.h"
#include "wire/socket_buffers.h"
#include "wire/tls_peer.h"
#include "wire/tls_stream.h"

namespace zoneferry {

// A frame on its way out: a segment's payload lies apart, so that it need not be copied behind its header.
struct Outgoing {
    ByteVector head;
    ByteVector body;
    std::size_t size() const { return head.size() + body.size(); }
};

class Link : public std::enable_shared_from_this<Link> {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    // ssl is taken over. The io_context is shared because a Connection may outlive its Network.
    Link(std::shared_ptr<asio::io_context> context, asio::ip::tcp::socket socket, SSL* ssl, ConnectionOptions options);

    // --- network thread ---
    TlsStream& stream() { return *stream_; }
    ServerChoice& server_choice() { return choice_; }
    asio::steady_timer& timer() { return timer_; }
    // After the handshake. slot is given back when the link is finished.
    void start(PeerIdentity peer, bool is_join, ByteVector exporter, std::shared_ptr<void> slot);
    void finish(Error why);

    // --- any thread ---
    Status send(Outgoing frame);
    Result<Frame> receive(int timeout_ms);
    void close(Error why);
    // The peer broke the rules: everybody gets this error.
    std::optional<LinkUse> use();
    void reject(Error why);
    bool is_finished();
    WindowBytes window();

    // Fixed once started.
    const PeerIdentity& peer() const { return peer_; }
    bool is_join() const { return is_join_; }
    const ByteVector& exporter() const { return exporter_; }

private:
    void read();
    void on_read(std::error_code error, std::size_t bytes);
    bool take_frames();
    void on_stream_end(std::error_code error);
    void resume();
    void on_goodbye();
    void write();
    bool fill_write_buffer();
    void on_written(std::error_code error);
    void part();
    void tick();
    void on_tick();
    bool is_full() const;  // with mutex_
    std::string peer_name() const;
    template <class Work>
    void post(Work work);  // with mutex_, and only while not finished

    const ConnectionOptions options_;
    const std::shared_ptr<asio::io_context> context_;
    const std::shared_ptr<TlsStream> stream_;
    asio::steady_timer timer_;
    ServerChoice choice_;
    PeerIdentity peer_;
    bool is_join_ = false;
    ByteVector exporter_;
    std::shared_ptr<void> slot_;

    FrameParser parser_{false};
    ByteVector read_buffer_;
    Outgoing write_buffer_;
    bool is_started_ = false;
    bool is_reading_ = false;
    bool is_writing_ = false;
    bool was_heard_ = false;
    bool is_goodbye_written_ = false;
    bool is_goodbye_read_ = false;
    SteadyTime started_at_;
    SteadyTime heard_at_;  // later by the time in which this side stood still
    SteadyTime tick_due_;
    SteadyTime written_at_;
    SteadyTime part_until_;

    std::mutex mutex_;
    std::condition_variable can_send_;
    std::condition_variable can_receive_;
    std::deque<Outgoing> outbound_;
    std::size_t outbound_bytes_ = 0;
    std::deque<Frame> inbound_;
    std::size_t inbound_bytes_ = 0;
    std::optional<Error> error_;  // what callers get when there is nothing left to give
    bool is_paused_ = false;
    bool is_closed_here_ = false;
    bool is_parting_ = false;
    bool is_finished_ = false;
};

}  // namespace zoneferry
