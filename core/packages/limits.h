// How much of a package database is read. The databases belong to the host, but a damaged or hostile one (an
// image's, a zone's) must end in an error and not in a machine without memory. Each figure is far above the
// largest seen: a Debian desktop with 5,000 packages has an 8 MB status file and lists of up to 3 MB.
#pragma once

#include <cstddef>
#include <cstdint>

namespace zoneferry {

inline constexpr std::uint64_t kStatusBytesMax = 256ULL << 20;     // dpkg status: all of Debian is 64,000 x 2 KB
inline constexpr std::uint64_t kFileListBytesMax = 64ULL << 20;    // one package's paths: 500,000 of 128 bytes
inline constexpr std::uint64_t kDiversionsBytesMax = 16ULL << 20;  // seen: 3 KB
inline constexpr std::uint64_t kContentsBytesMax = 1ULL << 30;     // SVR4 contents, all paths of a host: seen 40 MB
inline constexpr std::uint64_t kPkginfoBytesMax = 16ULL << 20;     // one package with all its patch records
inline constexpr std::uint64_t kPkgmapBytesMax = 256ULL << 20;     // seen: 2 MB
inline constexpr std::size_t kPkgmapEntriesMax = 2'000'000;
inline constexpr std::uint64_t kResponseBytesMax = 1ULL << 20;  // answers to a request script; seen: 1 KB
inline constexpr std::size_t kParametersMax = 10'000;           // of one package, patch records included
inline constexpr std::uint64_t kDependBytesMax = 1ULL << 20;
inline constexpr std::uint64_t kPolicyBytesMax = 1ULL << 20;
inline constexpr std::size_t kRequirementsMax = 2'000'000;      // of all packages; all of Debian: 600,000
inline constexpr std::size_t kContentsRecordsMax = 4'000'000;   // seen: 300,000
inline constexpr std::size_t kContentsOwnersBytesMax = 65'536;  // of one path; seen: 8 KB
inline constexpr std::size_t kPackagesMax = 200'000;
inline constexpr std::size_t kPackageNameBytesMax = 255;     // the manifest's limit: name < 256
inline constexpr std::size_t kPackageVersionBytesMax = 255;  // the manifest's limit: version < 256
inline constexpr std::size_t kPatchesMax = 20'000;           // on one package
inline constexpr std::size_t kPatchIdBytesMax = 64;
inline constexpr std::size_t kObsoletesMax = 20'000;  // of one patch

}  // namespace zoneferry
