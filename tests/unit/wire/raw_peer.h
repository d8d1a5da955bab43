// A peer that does not keep to the rules: a plain socket, or TLS by hand, with blocking calls.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "core/base/fd.h"
#include "wire/network.h"

namespace zoneferry {

class RawPeer {
public:
    explicit RawPeer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const timeval patience{20, 0};
        (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ZF_CHECK(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    ~RawPeer() { SSL_free(ssl_); }
    RawPeer(const RawPeer&) = delete;
    RawPeer& operator=(const RawPeer&) = delete;

    // alpn with its length byte in front; empty: none.
    bool handshake(const TlsContext& context, const std::string& alpn) {
        ssl_ = SSL_new(context.get());
        SSL_set_fd(ssl_, fd_.get());
        if (!alpn.empty()) {
            SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(alpn.data()),
                                static_cast<unsigned>(alpn.size()));
        }
        return SSL_connect(ssl_) == 1;
    }
    bool write(ConstBytes bytes) { return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0; }
    // Bytes read by TLS; <= 0 at the end or an error.
    int read(MutableBytes bytes) { return SSL_read(ssl_, bytes.data(), static_cast<int>(bytes.size())); }
    // True when the other side has ended the plain connection.
    bool is_ended() {
        char byte = 0;
        return ::recv(fd_.get(), &byte, 1, 0) <= 0 && errno != EAGAIN;
    }
    // Ends the TCP stream, as a cut or a crash does.
    void cut() { ::shutdown(fd_.get(), SHUT_RDWR); }

private:
    UniqueFd fd_;
    SSL* ssl_ = nullptr;
};

inline const std::string kPeerAlpn = "\x0bzoneferry/1";
inline const std::string kJoinAlpn = "\x10zoneferry-join/1";

}  // namespace zoneferry
