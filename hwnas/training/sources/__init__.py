"""Where image data come from.

Contents:
    archive: arrays, or JPEG files one after another, in an ``.npz`` file.
    clips: made-up clips of a moving spot.
    folder: a sub-folder of images for each class.
    function: what a function of the user's returns.
    hub: Hugging Face data sets, saved or from the hub.
    items: PyTorch data sets and loaders.
    listing: the files of a folder, whatever the file system's order and links.
    loading: a source's text to the reader it means.
    named: data sets known by a name.
    options: the part of a source after the question mark.
    parts: training, validation and test images in whatever form, brought to one.
    pictures: image files to arrays of one size.
    vision: the data sets of torchvision.
"""

from hwnas.training.sources.loading import load_data

__all__ = ["load_data"]
