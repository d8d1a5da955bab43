// How much of an image the adjustments read. Each figure is far above the largest real one seen.
#pragma once

#include <cstddef>
#include <cstdint>

namespace zoneferry {

inline constexpr std::uint64_t kAdjustFileBytesMax = 1U << 20U;         // a configuration file; a big fstab has 20 KiB
inline constexpr std::uint64_t kAdjustContentsBytesMax = 256ULL << 20;  // var/sadm/install/contents; 30 MiB seen
inline constexpr std::size_t kAdjustNamesMax = 20'000;       // of one directory; /usr/lib/systemd/system: 600
inline constexpr std::size_t kAdjustNestedZonesMax = 8'192;  // the most a Solaris host can have
inline constexpr int kAdjustBackupsOfOnePathMax = 100;

}  // namespace zoneferry
