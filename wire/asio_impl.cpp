// Asio's own code, compiled once here instead of in every file that uses it (ASIO_SEPARATE_COMPILATION).
// <version> first: asio's configuration asks what the standard library has.
#include <version>

#include <asio/impl/src.hpp>
#include <asio/ssl/impl/src.hpp>
