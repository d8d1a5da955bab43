// TLS over one socket, on the network thread: records are made and opened in memory, and the socket is given and asked
// for many of them at once. (asio::ssl::stream passes every record of 16 KiB to the kernel by itself and copies it
// twice on the way; that was half the cost of a fast link.)
//
//     write:  plain -> SSL_write -> made_ -> [sent_] -> one send, kBatchBytes or more
//     read:   one recv -> received_ -> SSL_read -> plain
//
// One handshake, then at most one read and one write at a time. What reading makes TLS say (an alert) goes out with the
// next write or by itself. Only link.cpp and network.cpp include this.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <system_error>

#include "core/base/bytes.h"

namespace zoneferry {

class TlsStream : public std::enable_shared_from_this<TlsStream> {
public:
    using Socket = asio::ip::tcp::socket;
    using Done = std::function<void(std::error_code)>;
    using Read = std::function<void(std::error_code, std::size_t bytes)>;

    TlsStream(Socket socket, SSL* ssl);  // ssl is taken over
    ~TlsStream();
    TlsStream(const TlsStream&) = delete;
    TlsStream& operator=(const TlsStream&) = delete;

    Socket& socket() { return socket_; }
    SSL* ssl() { return ssl_; }
    // A failure of TLS has the category of asio::error::get_ssl_category(), with OpenSSL's packed code.
    void handshake(bool is_server, Done done);
    // What is there, at least a byte; into outlives the call. Never calls done before it returns.
    void read_some(MutableBytes into, Read done);
    // All of both, which outlive the call.
    void write(ConstBytes head, ConstBytes body, Done done);

private:
    static int give(BIO* bio, char* into, int size);
    static int take(BIO* bio, const char* from, int size);
    static BIO_METHOD* method();
    std::error_code failure(int result);
    void go_on_with_handshake();
    void go_on_reading();
    void end_read(std::error_code error, std::size_t bytes);
    void go_on_writing();
    void send_made();
    template <class Then>
    void receive(Then then);

    Socket socket_;
    SSL* ssl_;
    std::unique_ptr<std::byte[]> received_;
    std::size_t received_begin_ = 0;
    std::size_t received_end_ = 0;
    ByteVector made_;
    ByteVector sent_;
    bool is_sending_ = false;
    std::error_code send_error_;
    Done handshake_done_;
    MutableBytes read_into_;
    Read read_done_;
    std::error_code read_error_;  // found behind bytes that were given out first
    std::array<ConstBytes, 2> to_write_;
    Done write_done_;
};

}  // namespace zoneferry
