#include "wire/features.h"

#include <algorithm>
#include <cstdlib>

#include "core/base/text.h"

namespace zoneferry {
namespace {

std::string range_text(std::uint32_t low, std::uint32_t high) {
    return low == high ? std::to_string(low) : std::to_string(low) + " to " + std::to_string(high);
}

std::vector<std::string> sorted_set(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

std::vector<std::string> features_of_this_version() {
    std::vector<std::string> all = {"block-lists", "bulk-streams", "extra-trees",   "followed-digests",
                                    "kept-return", "move-history", "owner-claims",  "p2v-push",
                                    "probe",       "push-digest",  "segments-zstd", "shared-storage",
                                    "tree-lists"};
    const char* wanted = std::getenv("ZONEFERRY_FEATURES");
    if (wanted == nullptr) return all;
    const std::string some = "," + std::string(wanted) + ",";
    std::erase_if(all, [&](const std::string& name) { return some.find("," + name + ",") == std::string::npos; });
    return all;
}

}  // namespace

const std::vector<std::string>& own_features() {
    static const std::vector<std::string> features = features_of_this_version();
    return features;
}

void offer(Hello& hello) {
    hello.protocol_min = kProtocolMin;
    hello.protocol_max = kProtocolMax;
    hello.features = own_features();
}

Result<Agreement> negotiate(const Hello& ours, const Hello& peer) {
    if (peer.protocol_min == 0 || peer.protocol_min > peer.protocol_max) {
        return Error(Errc::protocol,
                     "the peer offers no protocol: its range is " + range_text(peer.protocol_min, peer.protocol_max));
    }
    const std::uint32_t highest = std::min(ours.protocol_max, peer.protocol_max);
    if (highest < std::max(ours.protocol_min, peer.protocol_min)) {
        return Error(Errc::unsupported, "the peer (version " + printable(peer.version) + ") speaks protocol " +
                                            range_text(peer.protocol_min, peer.protocol_max) + ", this host protocol " +
                                            range_text(ours.protocol_min, ours.protocol_max) + ": nothing was done")
            .remedy("install the newer zoneferry on the other host too");
    }
    Agreement agreement;
    agreement.protocol = highest;
    const std::vector<std::string> mine = sorted_set(ours.features);
    const std::vector<std::string> theirs = sorted_set(peer.features);
    std::set_intersection(mine.begin(), mine.end(), theirs.begin(), theirs.end(),
                          std::back_inserter(agreement.features));
    return agreement;
}

Result<Agreement> agree(const Hello& peer) {
    Hello ours;
    offer(ours);
    return negotiate(ours, peer);
}

Result<Agreement> accept_answer(const HelloAck& answer) {
    Agreement agreement;
    agreement.protocol = answer.protocol;
    agreement.features = sorted_set(answer.features);
    if (answer.protocol < kProtocolMin || answer.protocol > kProtocolMax) {
        return Error(Errc::protocol,
                     "the peer chose protocol " + std::to_string(answer.protocol) + ", which was not offered");
    }
    const std::vector<std::string> mine = sorted_set(own_features());
    for (const std::string& feature : agreement.features) {
        if (!std::binary_search(mine.begin(), mine.end(), feature)) {
            return Error(Errc::protocol,
                         "the peer chose the feature " + printable(feature) + ", which was not offered");
        }
    }
    return agreement;
}

}  // namespace zoneferry
