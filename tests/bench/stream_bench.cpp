// One full copy of a tree between two network namespaces, with the product's own walk, segments, TLS connection,
// intake and writer; what the agents add (journal, messages before and after) is not in it. For stream_bench.py.
//
//     stream_bench keys DIRECTORY                      two hosts that trust each other: DIRECTORY/first, /second
//     stream_bench receive DIRECTORY ADDRESS STAGING   prints "ready", takes one pass, ends
//     stream_bench send DIRECTORY ADDRESS SOURCE CATALOG [OPTION=VALUE...]
//         options: level=0..9 (default: adapted)  threads=N  bwlimit=BYTES_PER_SECOND  readers=N
//     stream_bench follow DIRECTORY ADDRESS SOURCE CATALOG
//         for each line that it reads one pass: after "walk" everything is walked, and what changes from then on is
//         followed; after "last" only that is visited
// Each pass prints one line of JSON. A second one with the same CATALOG is a delta pass.
#include <sys/resource.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/move/segment_pump.h"
#include "agent/peer_session.h"
#include "certs/trust_store.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "transfer/change_tracker.h"
#include "transfer/sender.h"
#include "wire/network.h"

namespace zoneferry {
namespace {

constexpr std::uint16_t kPort = 7743;
constexpr int kConnectTimeoutMs = 30'000;

Status make_keys(const std::string& directory) {
    const std::int64_t now_ms = SystemClock().unix_ms();
    ZF_TRY(TrustStore first, TrustStore::open(directory + "/first"));
    ZF_TRY(TrustStore second, TrustStore::open(directory + "/second"));
    ZF_TRY_STATUS(first.init("host1", now_ms));
    const ByteVector exporter = random_bytes(32);
    ZF_TRY(const Invitation invitation, first.invite("host2", {"127.0.0.1:7743"}, 600, now_ms));
    ZF_TRY(const JoinAttempt attempt, second.begin_join(invitation, now_ms));
    ZF_TRY(const JoinAnswer answer,
           first.answer_join("host2", attempt.request_pem(), attempt.proof(exporter), exporter, now_ms));
    return second.complete_join(attempt, answer.certificate_pem, answer.authority_pem, answer.proof, exporter, now_ms);
}

Status receive_pass(Connection& connection, UniqueFd staging) {
    ZF_TRY(auto receiver, TreeReceiver::start(std::move(staging), {}));
    const auto acknowledge = [&](std::uint64_t durable_count) {
        SegmentAck ack;
        ack.durable_count = durable_count;
        return connection.send(std::move(ack));
    };
    SegmentIntake intake(std::move(receiver), {}, acknowledge);
    while (true) {
        ZF_TRY(Message message, connection.receive(kWorkTimeoutMs));
        if (auto* segment = std::get_if<Segment>(&message)) {
            ZF_TRY(TreeSegment part, take_segment(std::move(*segment)));
            ZF_TRY_STATUS(intake.accept(std::move(part)));
        } else if (const auto* end = std::get_if<PassEnd>(&message)) {
            ZF_TRY_STATUS(intake.finish(end->segments));
            return connection.send(PassDone());
        } else {
            return Error(Errc::protocol, "neither a segment nor the end of the pass");
        }
    }
}

Status receive(const std::string& directory, const std::string& address, const std::string& staging) {
    ZF_TRY(const TrustStore trust, TrustStore::open(directory + "/second"));
    ZF_TRY(UniqueFd tree, open_directory(staging));
    std::mutex mutex;
    std::condition_variable ended;
    std::optional<Status> outcome;
    Network network;
    const auto contexts = [&] {
        ServerContexts made;
        if (auto mutual = trust.server_context()) made.mutual = *mutual;
        return made;
    };
    const auto accepted = [&](const std::shared_ptr<Connection>& connection) {
        Status done = receive_pass(*connection, std::move(tree));
        (void)connection->receive(kWorkTimeoutMs);  // the sender's goodbye
        const std::lock_guard lock(mutex);
        outcome = std::move(done);
        ended.notify_all();
    };
    ZF_TRY([[maybe_unused]] const std::uint16_t port, network.listen(address, kPort, contexts, accepted));
    std::printf("ready\n");
    std::fflush(stdout);
    std::unique_lock lock(mutex);
    ended.wait(lock, [&] { return outcome.has_value(); });
    return *outcome;
}

long peak_kib() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

struct Ends {
    std::string keys;
    std::string address;
    std::string source;
    std::string catalog;
};

SendOptions options_for(const Ends& ends) {
    SendOptions options;
    options.catalog_path_prefix = ends.catalog;
    options.compressor_threads = std::max(1U, std::thread::hardware_concurrency());
    return options;
}

Status send_pass(const Ends& ends, SendOptions options, std::unique_ptr<PassTrail>* trail) {
    ZF_TRY(const TrustStore trust, TrustStore::open(ends.keys + "/first"));
    ZF_TRY(const TlsContext context, trust.client_context());
    Network network;
    ZF_TRY(const auto connection, network.connect(ends.address, kPort, context, "host2", kConnectTimeoutMs));
    const auto begin = std::chrono::steady_clock::now();
    ZF_TRY(UniqueFd tree, open_directory(ends.source));
    ZF_TRY(const auto sender, TreeSender::start(std::move(tree), std::move(options)));
    ZF_TRY_STATUS(send_segments(
        *connection, *sender, 0, [] { return Status(); }, [] {}));
    ZF_TRY(const PassSummary summary, sender->finish());
    if (trail != nullptr) *trail = sender->take_trail();
    connection->close();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf(
        "{\"seconds\": %.3f, \"entries\": %llu, \"data_bytes\": %llu, \"payload_bytes\": %llu, \"walked_because\": "
        "\"%s\", \"peak_kib\": %ld}\n",
        took.count(), static_cast<unsigned long long>(summary.entries),
        static_cast<unsigned long long>(summary.data_bytes_sent),
        static_cast<unsigned long long>(summary.payload_bytes), summary.walked_because.c_str(), peak_kib());
    std::fflush(stdout);
    return {};
}

Status send(const Ends& ends, std::map<std::string, std::string> words) {
    SendOptions options = options_for(ends);
    if (words.count("threads") != 0) options.compressor_threads = static_cast<unsigned>(std::stoul(words["threads"]));
    if (words.count("readers") != 0) options.readers = static_cast<unsigned>(std::stoul(words["readers"]));
    if (words.count("level") != 0) options.zstd_level = std::stoi(words["level"]);
    if (words.count("bwlimit") != 0) options.bytes_per_second = std::stoull(words["bwlimit"]);
    return send_pass(ends, std::move(options), nullptr);
}

Status follow(const Ends& ends) {
    std::unique_ptr<ChangeTracker> tracker;
    std::unique_ptr<PassTrail> trail;
    for (std::string word; std::getline(std::cin, word);) {
        SendOptions options = options_for(ends);
        if (word == "last" && tracker && trail) {
            ZF_TRY(Changes changes, tracker->finish());
            options.changes = std::make_shared<ChangesSince>(ChangesSince{std::move(*trail), std::move(changes)});
        }
        tracker.reset();
        trail.reset();
        if (word == "walk") {
            ZF_TRY(tracker, ChangeTracker::start(ends.source));
        }
        ZF_TRY_STATUS(send_pass(ends, std::move(options), &trail));
    }
    return {};
}

Status run(const std::vector<std::string>& words) {
    if (words.size() == 2 && words[0] == "keys") return make_keys(words[1]);
    if (words.size() == 4 && words[0] == "receive") return receive(words[1], words[2], words[3]);
    if (words.size() >= 5 && words[0] == "send") {
        std::map<std::string, std::string> options;
        for (std::size_t i = 5; i < words.size(); ++i) {
            const std::size_t sign = words[i].find('=');
            options[words[i].substr(0, sign)] = sign == std::string::npos ? "" : words[i].substr(sign + 1);
        }
        return send({words[1], words[2], words[3], words[4]}, std::move(options));
    }
    if (words.size() == 5 && words[0] == "follow") return follow({words[1], words[2], words[3], words[4]});
    return Error(Errc::usage, "see the head of stream_bench.cpp");
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) {
    zoneferry::keep_freed_segments();
    const zoneferry::Status done = zoneferry::run({argv + 1, argv + argc});
    if (!done) std::fprintf(stderr, "%s\n", done.error().text().c_str());
    return done ? 0 : 1;
}
