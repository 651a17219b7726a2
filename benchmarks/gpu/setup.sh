# Source it on a machine that is thrown away, in the checkout's root: `. .gpuN/setup.sh`. Puts what a transfer brought
# where its python3 looks. Idempotent. A later transfer finds what an earlier one left.
set -e
site=$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
kept=${KEPT:-/opt/medserve}
mkdir -p "$kept"
if [ -f .gpu1/triton.tar.xz ]; then # its worker needs numpy < 2
    rm -rf "$site"/numpy "$site"/numpy-*.dist-info "$site"/numpy.libs
    tar -C "$site" -xJf .gpu1/triton.tar.xz
    mv -f "$site"/libpython3.12.so.1.0 "$kept"/
    rm .gpu1/triton.tar.xz # a later transfer sources this again
fi
if [ -f .gpu2/ort.0 ]; then cp .gpu2/ort.0 "$kept"/; fi
if [ -f .gpu3/ort.1 ]; then
    rm -rf "$site"/onnxruntime "$site"/onnxruntime-*.dist-info
    cat "$kept"/ort.0 .gpu3/ort.1 | tar -C "$site" -xJ
    rm .gpu3/ort.1
fi
for brought in .gpu[1-5]; do
    if [ -d "$brought/models" ]; then cp -r "$brought"/models/. model_repository/; fi
done
if [ -f .gpu5/site.tar.xz ]; then
    tar -C "$site" -xJf .gpu5/site.tar.xz
    python3 -m pip install -q --no-index --no-deps --no-build-isolation ./client
    if [ -d .gpu5/data ]; then cp -r .gpu5/data "$kept"/; fi
fi
if ! ldconfig -p | grep -q libpython3.12.so.1.0; then export LD_LIBRARY_PATH="$kept${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; fi
set +e
