// Result<T>: a value or an Error, with std::expected's names so that a later switch is one alias.
// (std::expected needs C++23 on g++ 12, which would cost us clang-tidy and libFuzzer.)
//
//     Result<UniqueFd> open(...);
//     ZF_TRY(UniqueFd fd, open(...));      // returns the Error from this function, or declares fd
//     ZF_TRY_STATUS(write_all(fd, bytes)); // the same for a Status
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "core/base/check.h"
#include "core/base/error.h"

namespace zoneferry {

template <class T>
class [[nodiscard]] Result {
public:
    Result() : state_(std::in_place_index<1>, Errc::unknown, "no result") {}   // asio default-constructs
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }

    T& value() & {
        check();
        return std::get<0>(state_);
    }
    const T& value() const& {
        check();
        return std::get<0>(state_);
    }
    T&& value() && {
        check();
        return std::get<0>(std::move(state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    T value_or(T other) const& { return has_value() ? std::get<0>(state_) : std::move(other); }

    Error& error() & {
        ZF_CHECK(!has_value());
        return std::get<1>(state_);
    }
    const Error& error() const& {
        ZF_CHECK(!has_value());
        return std::get<1>(state_);
    }
    Error&& error() && {
        ZF_CHECK(!has_value());
        return std::get<1>(std::move(state_));
    }

private:
    void check() const {
        if (!has_value()) check_failed("Result has a value", __FILE__, __LINE__, std::get<1>(state_).text().c_str());
    }
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

    bool has_value() const { return !error_.has_value(); }
    explicit operator bool() const { return has_value(); }
    Error& error() & {
        ZF_CHECK(error_.has_value());
        return *error_;
    }
    const Error& error() const& {
        ZF_CHECK(error_.has_value());
        return *error_;
    }
    Error&& error() && {
        ZF_CHECK(error_.has_value());
        return *std::move(error_);
    }

private:
    std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace zoneferry

#define ZF_JOIN_INNER(a, b) a##b
#define ZF_JOIN(a, b) ZF_JOIN_INNER(a, b)
#define ZF_TRY_INNER(temporary, declaration, ...)        \
    auto temporary = (__VA_ARGS__);                      \
    if (!temporary) return std::move(temporary).error(); \
    declaration = *std::move(temporary)
#define ZF_TRY(declaration, ...) ZF_TRY_INNER(ZF_JOIN(zf_result_, __LINE__), declaration, __VA_ARGS__)
#define ZF_TRY_STATUS(...)                                                                   \
    do {                                                                                     \
        if (auto zf_status = (__VA_ARGS__); !zf_status) return std::move(zf_status).error(); \
    } while (false)
