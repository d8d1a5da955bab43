#include "transfer/compression_control.h"

#include <algorithm>
#include <limits>

namespace zoneferry {
namespace {

constexpr double kIncompressibleRatio = 0.97;
constexpr double kWorthChanging = 1.05;        // a dearer mode must promise so much more
constexpr double kGoodEnough = 0.99;           // a cheaper one that brings so much of it is taken
constexpr std::uint64_t kLookBusyUs = 20'000;  // of sending, before its rate means something
constexpr std::uint64_t kLookIdleUs = 50'000;  // and if hardly any of so long a time was spent in sending
constexpr std::uint64_t kIdleTimes = 4;        // ... that many times the sending
constexpr double kUnlimited = 1e12;
constexpr double kBacklogBytes = 512.0 * 1024;
constexpr double kMostlyLimited = 0.4;  // share of the busy time
constexpr double kNewWeight = 0.3;      // of a new measurement

void blend(double& known, double measured) { known = known == 0 ? measured : known + kNewWeight * (measured - known); }

double ratio_of(const MeasuredRates& rates, std::size_t mode) {
    if (mode == kRawMode) return 1;
    const double measured = rates.modes[rates.latest_mode].ratio;
    if (measured == 0) return kCompressionModes[mode].usual_ratio;
    if (measured >= kIncompressibleRatio) return 1;
    const std::size_t from = std::max(rates.latest_mode, kFirstMode);  // raw is measured by samples at the first level
    return std::min(1.0, measured * kCompressionModes[mode].usual_ratio / kCompressionModes[from].usual_ratio);
}

double speed_of(const MeasuredRates& rates, std::size_t mode) {
    if (rates.modes[mode].speed > 0) return rates.modes[mode].speed;
    const double usual = kCompressionModes[mode].usual_speed;
    const double measured = rates.modes[rates.latest_mode].speed;
    if (measured == 0 || mode == kRawMode || rates.latest_mode == kRawMode) return usual;
    return usual * measured / kCompressionModes[rates.latest_mode].usual_speed;
}

}  // namespace

double predicted_rate(const MeasuredRates& rates, std::size_t mode) {
    const double link = rates.link_bytes_per_second / ratio_of(rates, mode);
    return mode == kRawMode ? link : std::min(link, rates.threads * speed_of(rates, mode));
}

std::size_t choose_mode(const MeasuredRates& rates, std::size_t present) {
    if (rates.link_bytes_per_second == 0) return present;
    double best = 0;
    for (std::size_t mode = 0; mode < kCompressionModes.size(); ++mode)
        best = std::max(best, predicted_rate(rates, mode));
    std::size_t wanted = 0;
    while (predicted_rate(rates, wanted) < kGoodEnough * best) ++wanted;
    if (wanted > present && predicted_rate(rates, wanted) < kWorthChanging * predicted_rate(rates, present)) {
        return present;
    }
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
    while (mode_ < dearest_mode_ && kCompressionModes[mode_].level < *fixed_level) ++mode_;
}

std::size_t CompressionControl::mode() const {
    const std::lock_guard lock(mutex_);
    return mode_;
}

void CompressionControl::note_compressed(std::size_t mode, std::uint64_t raw_bytes, std::uint64_t payload_bytes,
                                         double seconds) {
    if (raw_bytes < kMiB) return;  // a last, short segment tells nothing
    const std::lock_guard lock(mutex_);
    MeasuredRates::PerMode& known = rates_.modes[mode];
    blend(known.ratio, static_cast<double>(payload_bytes) / static_cast<double>(raw_bytes));
    if (mode != kRawMode) blend(known.speed, static_cast<double>(raw_bytes) / std::max(seconds, 1e-6));
    rates_.latest_mode = mode;
    choose();
}

void CompressionControl::note_link(const LinkCounters& counters) {
    const std::lock_guard lock(mutex_);
    waiting_bytes_ += kNewWeight * (static_cast<double>(counters.waiting_bytes) - waiting_bytes_);
    const std::uint64_t busy_us = counters.busy_us - counted_.busy_us;
    if (counters.busy_us < counted_.busy_us + kLookBusyUs) {
        if (counted_.at_us == 0) counted_.at_us = counters.at_us;
        const std::uint64_t elapsed_us = counters.at_us - counted_.at_us;
        const bool is_idle = elapsed_us >= kLookIdleUs && kIdleTimes * busy_us < elapsed_us;
        if (!is_idle || waiting_bytes_ >= kBacklogBytes) return;
        measured_link_ = kUnlimited;  // it waits for us: what we make is taken at once
        counted_ = counters;
        return choose();
    }
    const auto busy = static_cast<double>(busy_us);
    const double limited = static_cast<double>(counters.receiver_limited_us - counted_.receiver_limited_us) / busy;
    const double rate = static_cast<double>(counters.acknowledged_bytes - counted_.acknowledged_bytes) / busy * 1e6;
    // Where we or the receiver are what is waited for, the network could do more; fewer bytes would not help.
    limited_share_ += kNewWeight / 2 * (limited - limited_share_);
    const double link = limited_share_ > kMostlyLimited || waiting_bytes_ < kBacklogBytes ? kUnlimited : rate;
    if (measured_link_ == kUnlimited || link == kUnlimited) measured_link_ = 0;
    blend(measured_link_, link);
    counted_ = counters;
    choose();
}

void CompressionControl::set_limit(std::uint64_t bytes_per_second) {
    const std::lock_guard lock(mutex_);
    limit_ = static_cast<double>(bytes_per_second);
    choose();
}

void CompressionControl::choose() {
    if (is_fixed_) return;
    rates_.link_bytes_per_second =
        limit_ > 0 ? std::min(limit_, measured_link_ > 0 ? measured_link_ : limit_) : measured_link_;
    mode_ = std::min(choose_mode(rates_, mode_), dearest_mode_);
}

}  // namespace zoneferry
