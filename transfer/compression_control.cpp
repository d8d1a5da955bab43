#include "transfer/compression_control.h"

#include <algorithm>
#include <limits>

namespace zoneferry {
namespace {

constexpr double kShortestS = 1e-6;  // that packing a segment can take
constexpr double kIncompressibleRatio = 0.97;
constexpr double kWorthChanging = 1.05;        // a dearer mode must promise so much more
constexpr double kWorthMoreBytes = 1.2;        // and a cheaper one that makes more bytes, but for raw
constexpr double kGoodEnough = 0.99;           // a cheaper one that brings so much of it is taken
constexpr std::uint64_t kLookBusyUs = 40'000;  // of sending, before its rate means something: counted by ticks of 4 ms
constexpr std::uint64_t kFirstLookBytes = 512 * 1024;  // ... or so much: before, all that is under way is the handshake
constexpr std::uint64_t kLookIdleUs = 50'000;          // and if hardly any of so long a time was spent in sending
constexpr std::uint64_t kLookIdleFullUs = 250'000;     // ... over a link that was full before: anything may be late
constexpr std::uint64_t kIdleTimes = 4;                // ... that many times the sending
constexpr std::uint64_t kWarmUpUs = 500'000;  // busy so long, a connection over a long link is past its slow start
constexpr double kUnlimited = 1e12;
constexpr double kBacklogBytes = 3.0 * 1024 * 1024;  // more than the one segment that has just been given
constexpr double kQueueSeconds = 1;
constexpr double kSendingSecondsPerByte = 1.1e-9;  // of processors, for TLS and the network: packing leaves less of it
constexpr double kRelationMost = 2;     // times what is usual: of two modes, by what was measured of different content
constexpr double kMostlyLimited = 0.4;  // share of the busy time
constexpr double kNewWeight = 0.3;      // of a new measurement
constexpr double kBurstWeight = 0.01;   // of one above what a full link took: many let a burst through
constexpr double kFading = 0.9;         // of the sums, each segment
constexpr double kCreeping = 1.002;     // of a link that nothing waits for, each look: a tenth in a second

void blend(double& known, double measured) { known = known == 0 ? measured : known + kNewWeight * (measured - known); }

// How much more or less than `from` the mode makes of the same.
double relation_of(const MeasuredRates& rates, std::size_t mode, std::size_t from) {
    const MeasuredRates::PerMode& own = rates.modes[mode];
    const MeasuredRates::PerMode& other = rates.modes[from];
    const std::size_t table = from == kRawMode ? kSampleMode : from;
    const double usual = kCompressionModes[mode].usual_ratio / kCompressionModes[table].usual_ratio;
    if (from == kRawMode || mode == from || own.sample == 0 || other.sample == 0) return usual;
    const double measured = own.ratio / own.sample / (other.ratio / other.sample);
    return std::clamp(measured, usual / kRelationMost, usual * kRelationMost);
}

double ratio_of(const MeasuredRates& rates, std::size_t mode) {
    if (mode == kRawMode) return 1;
    std::size_t from = rates.latest_mode;
    // Without packed literals it sees only what repeats: where it finds nothing, a sample may.
    const double sample = rates.modes[kRawMode].ratio;
    if (from == kFirstMode && rates.modes[from].ratio >= kIncompressibleRatio && sample > 0) {
        if (mode == kFirstMode) return 1;
        from = kRawMode;
    }
    const double measured = rates.modes[from].ratio;
    if (measured == 0) return kCompressionModes[mode].usual_ratio;
    if (measured >= kIncompressibleRatio) return 1;
    return std::min(1.0, measured * relation_of(rates, mode, from));
}

// Of a thread, with what it waits for a processor. From the mode at hand, as things are now; of a dearer one what was
// measured before is not forgotten.
double speed_of(const MeasuredRates& rates, std::size_t mode) {
    const double known = rates.modes[mode].speed;
    const double latest = rates.modes[rates.latest_mode].speed;
    double alone = kCompressionModes[mode].usual_speed;
    if (mode == kRawMode || rates.latest_mode == kRawMode || latest == 0) {
        if (known > 0) alone = known;
    } else {
        alone *= latest / kCompressionModes[rates.latest_mode].usual_speed;
        if (mode > rates.latest_mode && known > 0) alone = std::min(known, alone);
    }
    return 1 / (1 / alone + rates.waited_s_per_byte);
}

}  // namespace

double predicted_rate(const MeasuredRates& rates, std::size_t mode) {
    if (mode == kRawMode) return rates.link_bytes_per_second;
    const double ratio = ratio_of(rates, mode);
    const double processors = 1 / (1 / (rates.threads * speed_of(rates, mode)) + ratio * kSendingSecondsPerByte);
    return std::min(rates.link_bytes_per_second / ratio, processors);
}

std::size_t choose_mode(const MeasuredRates& rates, std::size_t present) {
    if (rates.link_bytes_per_second == 0) return present;
    const auto promised = [&](std::size_t mode) { return predicted_rate(rates, mode); };
    double best = 0;
    for (std::size_t mode = 0; mode < kCompressionModes.size(); ++mode) best = std::max(best, promised(mode));
    std::size_t wanted = 0;
    while (promised(wanted) < kGoodEnough * best) ++wanted;
    const bool makes_more = wanted != kRawMode && ratio_of(rates, wanted) > ratio_of(rates, present);
    const double worth = wanted > present ? kWorthChanging : makes_more ? kWorthMoreBytes : 0;
    if (promised(wanted) < worth * promised(present)) return present;
    // Upwards one step at a time: each is measured before the next is judged.
    return std::min(wanted, present + 1);
}

CompressionControl::CompressionControl(unsigned threads, std::optional<int> fixed_level, std::size_t dearest_mode)
    : dearest_mode_(dearest_mode) {
    rates_.threads = threads;
    mode_ = std::min(mode_, dearest_mode_);
    if (!fixed_level) return;
    is_fixed_ = true;
    mode_ = kRawMode;
    if (*fixed_level == 0) return;
    for (mode_ = kFirstMode; mode_ < dearest_mode_ && kCompressionModes[mode_].level < *fixed_level;) ++mode_;
}

std::size_t CompressionControl::mode() const {
    const std::lock_guard lock(mutex_);
    return mode_;
}

void CompressionControl::note_compressed(std::size_t mode, std::uint64_t raw_bytes, std::uint64_t payload_bytes,
                                         PackingTime took) {
    if (raw_bytes < kMiB) return;  // a last, short segment tells nothing
    const std::lock_guard lock(mutex_);
    Sums& sums = sums_[mode];
    sums.raw_bytes = kFading * sums.raw_bytes + static_cast<double>(raw_bytes);
    sums.payload_bytes = kFading * sums.payload_bytes + static_cast<double>(payload_bytes);
    const double wall_s = std::max(took.wall_s, kShortestS);
    sums.wall_s = kFading * sums.wall_s + wall_s;
    sums.processor_s = kFading * sums.processor_s + std::clamp(took.processor_s, kShortestS, wall_s);
    const double sample = rates_.modes[kRawMode].ratio;
    sums.sample_bytes = kFading * sums.sample_bytes + sample * static_cast<double>(raw_bytes);
    rates_.modes[mode] = {sums.payload_bytes / sums.raw_bytes, sums.raw_bytes / sums.processor_s,
                          sums.sample_bytes / sums.raw_bytes};
    rates_.waited_s_per_byte = (sums.wall_s - sums.processor_s) / sums.raw_bytes;
    rates_.latest_mode = mode;
    choose();
}

void CompressionControl::note_sample(std::size_t present_mode, double ratio) {
    const std::lock_guard lock(mutex_);
    blend(rates_.modes[kRawMode].ratio, ratio);
    if (present_mode != kRawMode) return;
    rates_.latest_mode = kRawMode;
    choose();
}

void CompressionControl::note_link(const LinkCounters& counters) {
    const std::lock_guard lock(mutex_);
    waiting_bytes_ += kNewWeight * (static_cast<double>(counters.waiting_bytes) - waiting_bytes_);
    const std::uint64_t busy_us = counters.busy_us - counted_.busy_us;
    const bool is_first = counted_.acknowledged_bytes == 0;
    if (busy_us < kLookBusyUs ||
        (is_first && counters.acknowledged_bytes < kFirstLookBytes && counters.busy_us < kWarmUpUs)) {
        if (counted_.at_us == 0) counted_.at_us = counters.at_us;
        const std::uint64_t elapsed_us = counters.at_us - counted_.at_us;
        const bool is_idle =
            elapsed_us >= (was_full_ ? kLookIdleFullUs : kLookIdleUs) && kIdleTimes * busy_us < elapsed_us;
        if (!is_idle || waiting_bytes_ >= kBacklogBytes) return;
        measured_link_ = kUnlimited;  // it waits for us: what we make is taken at once
        was_full_ = false;
        counted_ = counters;
        return choose();
    }
    const auto busy = static_cast<double>(busy_us);
    const double limited = static_cast<double>(counters.receiver_limited_us - counted_.receiver_limited_us) / busy;
    const double rate = static_cast<double>(counters.acknowledged_bytes - counted_.acknowledged_bytes) / busy * 1e6;
    limited_share_ += kNewWeight / 2 * (limited - limited_share_);
    note_rate(rate, counters.busy_us >= kWarmUpUs);
    counted_ = counters;
    choose();
}

void CompressionControl::note_rate(double rate, bool is_warm) {
    if (limited_share_ > kMostlyLimited) {
        // The receiver is what is waited for: that says nothing of the link.
        if (measured_link_ == 0) measured_link_ = kUnlimited;
    } else if (measured_link_ == 0 || measured_link_ == kUnlimited) {
        measured_link_ = rate;
    } else if (waiting_bytes_ < kBacklogBytes) {
        measured_link_ *= kCreeping;
        if (rate > measured_link_) measured_link_ += (was_full_ ? kBurstWeight : kNewWeight) * (rate - measured_link_);
    } else if (!is_warm) {
        measured_link_ = std::max(rate, measured_link_);
    } else {
        blend(measured_link_, rate);
        was_full_ = true;
    }
}

void CompressionControl::set_limit(std::uint64_t bytes_per_second) {
    const std::lock_guard lock(mutex_);
    limit_ = static_cast<double>(bytes_per_second);
    choose();
}

std::size_t CompressionControl::bytes_worth_queueing() const {
    const std::lock_guard lock(mutex_);
    const bool is_known = limit_ > 0 || (counted_.busy_us >= kWarmUpUs && rates_.link_bytes_per_second < kUnlimited);
    return is_known ? static_cast<std::size_t>(kQueueSeconds * rates_.link_bytes_per_second) : 0;
}

void CompressionControl::choose() {
    rates_.link_bytes_per_second =
        limit_ > 0 ? std::min(limit_, measured_link_ > 0 ? measured_link_ : limit_) : measured_link_;
    if (is_fixed_) return;
    const std::size_t wanted = std::min(choose_mode(rates_, mode_), dearest_mode_);
    // A dear segment takes long: none is begun for a rate that still grows, nor before one of the mode at hand is done.
    const bool is_known = limit_ > 0 || counted_.busy_us >= kWarmUpUs;
    const bool is_cheap = wanted <= mode_ || wanted <= kSampleMode;
    if (is_cheap || (is_known && rates_.latest_mode == mode_)) mode_ = wanted;
}

}  // namespace zoneferry
