// How hard to compress: the mode that brings the most raw bytes per second across, judged from what was measured.
//
//     rate of a mode = min(link / ratio, 1 / (1 / (threads * speed) + ratio * sending)); of raw: link
//
// link: bytes per second that the network took while something was under way; ratio: packed to raw; speed: raw bytes
// per second that one compressor brings out. That has two parts: the processor time that the mode takes, and the time
// that a compressor waits for a processor which others use, too (on the two cores of a test both ends do). Another mode
// changes the first part only. On a fast link the first term never binds and raw wins; near 1 Gbit/s level 1 does, or
// -1, which leaves literals as they are and costs three quarters; below, the ratio decides, and the modes of history
// (the segment before as a prefix) and large segments do best. sending: what TLS and the network take of the same
// processors for a byte. What is not measured is guessed from the mode at hand and the table below; what was measured
// of other content, by what samples of both promised: level -1 makes 0.38 of a Debian root and 0.60 of small
// configuration files, level 1 0.34 and 0.35.
//
// While nothing waits for the network, or the receiver is slower than it, it could do more than it does: its rate is
// then only known to be no less, and the last that was measured under pressure counts, creeping up. (Taking it for
// endless made the choice fall to raw whenever the processors were behind, and fill a slow link with it; taking a burst
// for its rate, too.) One that stands idle for long is endless, until something waits for it.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>

namespace zoneferry {

struct CompressionMode {
    int level;                  // of zstd; 0: raw
    int hash_log;               // 0: as the level has it
    int long_min_match;         // for a segment that short matches do not pay in (segment.h); 0: never
    bool keeps_history;         // segments are packed with the one before them as prefix, and long-distance matching
    std::size_t segment_bytes;  // raw
    double usual_ratio;         // measured on a Debian root
    double usual_speed;         // raw bytes per second and thread
    std::size_t context_bytes;  // of one compressor, at most: measured, with what it samples by
};

constexpr std::size_t kMiB = std::size_t{1} << 20U;
// From the cheapest to the dearest.
constexpr std::array<CompressionMode, 7> kCompressionModes{{
    {0, 0, 0, false, 2 * kMiB, 1.0, 8e9, kMiB},
    {-1, 15, 0, false, 2 * kMiB, 0.353, 415e6, 2 * kMiB},
    {1, 15, 0, false, 2 * kMiB, 0.324, 326e6, 2 * kMiB},
    {3, 0, 7, false, 6 * kMiB, 0.285, 195e6, 3 * kMiB},
    {3, 0, 7, true, 7 * kMiB, 0.266, 112e6, 4 * kMiB},
    {6, 0, 6, true, 7 * kMiB, 0.250, 45e6, 7 * kMiB},
    {9, 0, 6, true, 7 * kMiB, 0.238, 33e6, 16 * kMiB},
}};
constexpr std::size_t kRawMode = 0;
constexpr std::size_t kFirstMode = 1;   // until the link is known
constexpr std::size_t kSampleMode = 2;  // what samples are packed with

// Zero: not measured.
struct MeasuredRates {
    double link_bytes_per_second = 0;
    unsigned threads = 1;
    struct PerMode {
        double ratio = 0;   // of the raw mode: what samples promise
        double speed = 0;   // raw bytes per second of processor time
        double sample = 0;  // what samples promised while it was measured
    };
    std::array<PerMode, kCompressionModes.size()> modes{};
    std::size_t latest_mode = kFirstMode;  // the last that was measured: the others are guessed from it
    double waited_s_per_byte = 0;          // of a thread, for a processor, while a raw byte was packed
};

// Raw bytes per second that the mode would bring across. Pure.
double predicted_rate(const MeasuredRates& rates, std::size_t mode);
// The mode to go on with. Pure; a change must promise something, so that noise changes nothing.
std::size_t choose_mode(const MeasuredRates& rates, std::size_t present);

// What packing a segment took.
struct PackingTime {
    double wall_s = 0;
    double processor_s = 0;
};

// What the kernel has counted of the connection since it began.
struct LinkCounters {
    std::uint64_t acknowledged_bytes = 0;
    std::uint64_t busy_us = 0;              // something was under way
    std::uint64_t receiver_limited_us = 0;  // of this, the time that the peer was slower than the network
    std::size_t waiting_bytes = 0;          // now, before the network: none when it takes all we make
    std::uint64_t at_us = 0;                // when this was counted, by a clock that only goes forward; 0: not known
};

// The memory around the two functions. Thread-safe.
class CompressionControl {
public:
    // fixed_level: always this (0: raw) instead of adapting. dearest_mode: none beyond it, whoever asks.
    CompressionControl(unsigned threads, std::optional<int> fixed_level,
                       std::size_t dearest_mode = kCompressionModes.size() - 1);

    std::size_t mode() const;
    void note_compressed(std::size_t mode, std::uint64_t raw_bytes, std::uint64_t payload_bytes, PackingTime took);
    // What a sample of a segment says of its ratio; present_mode: how the segment itself is packed.
    void note_sample(std::size_t present_mode, double ratio);
    void note_link(const LinkCounters& counters);
    // A limit set by people is a link of that rate; 0: none.
    void set_limit(std::uint64_t bytes_per_second);
    // What the link takes in kQueueSeconds, once it is known; else 0. More is not packed beforehand: it would be packed
    // for a link of some time ago.
    std::size_t bytes_worth_queueing() const;

private:
    // Sums, older ones fading: a segment that packs in no time must not speak for all.
    struct Sums {
        double raw_bytes = 0;
        double payload_bytes = 0;
        double wall_s = 0;
        double processor_s = 0;
        double sample_bytes = 0;  // what samples promised
    };
    void note_rate(double rate, bool is_warm);
    void choose();

    mutable std::mutex mutex_;
    MeasuredRates rates_;
    std::array<Sums, kCompressionModes.size()> sums_{};
    double limit_ = 0;
    double measured_link_ = 0;
    LinkCounters counted_;
    double waiting_bytes_ = 0;  // on the average, as the next
    double limited_share_ = 0;
    std::size_t mode_ = kFirstMode;
    std::size_t dearest_mode_;
    bool was_full_ = false;  // measured_link_ was, while something waited for it
    bool is_fixed_ = false;
};

}  // namespace zoneferry
