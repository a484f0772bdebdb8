#!/bin/sh
# The whole chain with the settings the shipped weights were made with. Two cores, about two hours.
# A step marked & goes on beside the next. WORK holds about 10 GB.
set -eu
WORK=${1:?where to work}
OUT=${2:?where to write the model}

for first in 0 4000 8000 12000 16000 20000 24000 28000 32000 36000; do
    python -m training.draw "$WORK/data" --first $first --count 4000
done
python -m training.autoencoder "$WORK/data" "$WORK/autoencoder" --minutes 12 --threads 2
python -m training.encode "$WORK/data" "$WORK/autoencoder" "$WORK/latents"
python -m training.draw "$WORK/large" --first 700000 --count 1600 --scale 2
python -m training.encode "$WORK/large" "$WORK/autoencoder" "$WORK/large"
python -m training.text "$WORK/text" --minutes 3
python -m training.reader "$WORK/data" training --minutes 9 &
# The shipped weights saw 144,000 pictures of a wider draw first (sun on either side, three horizons, seven places);
# the scenes drawn now are the narrow ones they were finished on. Details joined for the last third.
python -m training.denoiser "$WORK/data" "$WORK/latents" "$WORK/text" "$WORK/run" \
    --details "$WORK/large" --minutes 88 --rate 0.0025 --muon-rate 0.015
python -m training.decoder "$WORK/data" "$WORK/autoencoder" "$WORK/sharp" --minutes 20
python -m training.export "$WORK/sharp" "$WORK/text" "$WORK/run/last.pt" "$WORK/data" "$OUT" --diffusers "$WORK/diffusers"
python -m training.evaluate "$OUT" --count 400 --json training/figures.json
python -m training.sheet "$OUT" docs/images/starter-grid.jpg
