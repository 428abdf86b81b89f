"""The runner in C++: the same as ``run.py``, with the standard library and ONNX Runtime alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

_CPP = Template("""\
// Classifies an image as run.py does: ./run IMAGE.npy [MODEL.onnx], an array (height, width, channels) of bytes.
// c++ -std=c++17 -O2 run.cpp -o run -lonnxruntime    (-I and -L say where ONNX Runtime is)
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

using Element = $element;
constexpr std::size_t kChannels = $channels, kHeight = $height, kWidth = $width, kClasses = $classes;
constexpr double kScale = $scale;
constexpr double kMean[kChannels] = {$mean};
constexpr double kStd[kChannels] = {$std};
const char* const kLabels[kClasses] = {$labels};

struct Image {
    std::size_t height, width;
    std::vector<unsigned char> values;  // row by row, the channels of a pixel side by side
};

Image read(const char* path) {
    std::ifstream file(path, std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    auto byte = [&](std::size_t place) { return static_cast<std::size_t>(static_cast<unsigned char>(all[place])); };
    if (all.size() < 12 || all.compare(1, 5, "NUMPY") != 0) throw std::runtime_error("expected a file of numpy.save");
    const bool longer = byte(6) > 1;  // since version 2 of the format, the header's length has four bytes
    const std::size_t begin = longer ? 12 : 10;
    const std::size_t length = byte(8) + (byte(9) << 8) + (longer ? (byte(10) << 16) + (byte(11) << 24) : 0);
    const std::string header = all.substr(begin, length);
    auto place = [&](const char* text) { return header.find(text); };
    const bool plain = place("'|u1'") != header.npos && place("'fortran_order': False") != header.npos;
    const std::size_t shape = place("'shape': (");
    std::size_t height = 0, width = 0, channels = 1;
    if (!plain || shape == header.npos ||
        std::sscanf(header.c_str() + shape, "'shape': (%zu, %zu, %zu", &height, &width, &channels) < 2)
        throw std::runtime_error("expected bytes of 0 to 255 (height, width, channels), received " + header);
    if (channels != kChannels || height < 1 || width < 1)
        throw std::runtime_error("expected an image of " + std::to_string(kChannels) + " channels, received " + header);
    if (all.size() < begin + length + height * width * channels) throw std::runtime_error("the file is cut off");
    const auto* first = reinterpret_cast<const unsigned char*>(all.data()) + begin + length;
    return {height, width, {first, first + height * width * channels}};
}

std::vector<double> resize(std::size_t length, std::size_t size) {  // antialiased bilinear, as a matrix (size, length)
    const double scale = static_cast<double>(length) / size;
    std::vector<double> weights(size * length);
    for (std::size_t i = 0; i < size; ++i) {
        double sum = 0;
        for (std::size_t j = 0; j < length; ++j) {
            const double distance = std::abs(j - ((i + 0.5) * scale - 0.5)) / std::max(scale, 1.0);
            sum += weights[i * length + j] = std::max(1 - distance, 0.0);
        }
        for (std::size_t j = 0; j < length; ++j) weights[i * length + j] /= sum;
    }
    return weights;
}

std::vector<Element> prepare(const Image& image) {  // to planes of channels, row by row
    const auto rows = resize(image.height, kHeight), columns = resize(image.width, kWidth);
    std::vector<Element> planes;
    planes.reserve(kChannels * kHeight * kWidth);
    for (std::size_t c = 0; c < kChannels; ++c) {
        for (std::size_t y = 0; y < kHeight; ++y) {
            std::vector<double> row(image.width, 0.0);
            for (std::size_t h = 0; h < image.height; ++h) {
                const double weight = kScale * rows[y * image.height + h];
                if (weight == 0) continue;  // most are
                for (std::size_t w = 0; w < image.width; ++w)
                    row[w] += weight * image.values[(h * image.width + w) * kChannels + c];
            }
            for (std::size_t x = 0; x < kWidth; ++x) {
                double value = 0;
                for (std::size_t w = 0; w < image.width; ++w) value += columns[x * image.width + w] * row[w];
                planes.push_back(Element(static_cast<float>((value - kMean[c]) / kStd[c])));
            }
        }
    }
    return planes;
}

int main(int count, char** words) try {
    if (count < 2) throw std::runtime_error("expected ./run IMAGE.npy [MODEL.onnx]");
    auto image = prepare(read(words[1]));
    Ort::Env env(ORT_LOGGING_LEVEL_WARNING, $name);
    const std::filesystem::path model(count > 2 ? words[2] : "model.onnx");
    Ort::Session session(env, model.c_str(), Ort::SessionOptions{});
    const std::array<std::int64_t, 4> shape{1, kChannels, kHeight, kWidth};
    auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    auto input = Ort::Value::CreateTensor<Element>(memory, image.data(), image.size(), shape.data(), shape.size());
    const char* inputs[] = {"image"};
    const char* outputs[] = {"logits"};
    auto found = session.Run(Ort::RunOptions{}, inputs, &input, 1, outputs, 1);
    const Element* logits = found[0].GetTensorData<Element>();
    std::array<double, kClasses> values{};
    for (std::size_t i = 0; i < kClasses; ++i) values[i] = static_cast<float>(logits[i]);
    const auto best = std::max_element(values.begin(), values.end()) - values.begin();
    double sum = 0;
    for (double value : values) sum += std::exp(value - values[best]);
    std::printf("%s %.3f\\n", kLabels[best], 1 / sum);
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\\n", error.what());
    return 1;
}
""")


def cpp_runner(card: Mapping[str, Any], *, channels: int, labels: Sequence[str]) -> str:
    """A C++ program that classifies an image file with the model of a card.

    Args:
        card: As in ``card.json``.
        channels: Of the images.
        labels: Names of the classes, in the order of the outputs.
    """
    rules = card["preprocessing"]
    height, width = rules["resize"]
    return _CPP.substitute(
        element="Ort::Float16_t" if card["precision"] == "fp16" else "float",
        channels=channels,
        height=height,
        width=width,
        classes=len(labels),
        scale=repr(float(rules["scale"])),
        mean=", ".join(repr(float(value)) for value in rules["mean"]),
        std=", ".join(repr(float(value)) for value in rules["std"]),
        labels=", ".join(quoted(label) for label in labels),
        name=quoted(card["id"]),
    )


def quoted(text: str) -> str:
    """A text as C, C++ and protobuf's text format write it, in UTF-8."""
    escaped = (f"\\{ord(c):03o}" if ord(c) < 32 or ord(c) == 127 else f"\\{c}" if c in '"\\' else c for c in text)
    return f'"{"".join(escaped)}"'
