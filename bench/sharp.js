// Makes thumbnails with sharp, one picture at a time for each core: node sharp.js PACKAGE TASK
// PACKAGE is sharp's folder, TASK the task as JSON (bench/task.py). A picture that fails does not stop the rest.

const fs = require("fs");
const path = require("path");

const [, , package_, json] = process.argv;
const task = JSON.parse(json);
process.env.UV_THREADPOOL_SIZE = task.cores; // before its first use: how many pictures libuv works on at once
const sharp = require(package_);
sharp.concurrency(1); // threads for each picture
sharp.cache(false); // no picture is read twice

const names = fs
  .readdirSync(task.source, { recursive: true, withFileTypes: true })
  .filter((entry) => !entry.isDirectory())
  .map((entry) => path.relative(task.source, path.join(entry.parentPath ?? entry.path, entry.name)));

async function makeThumbnails(name) {
  const picture = sharp(path.join(task.source, name)).rotate();
  for (const box of task.boxes) {
    const target = path.join(task.folder, "thumbnails", String(box), `${name}.jpg`);
    await fs.promises.mkdir(path.dirname(target), { recursive: true });
    await picture
      .clone()
      .resize({ width: box, height: box, fit: "inside", withoutEnlargement: true })
      .flatten({ background: "white" })
      .jpeg({ quality: task.quality, optimizeCoding: false })
      .toFile(target);
  }
}

async function work() {
  for (let name; (name = names.pop()) !== undefined; ) {
    try {
      await makeThumbnails(name);
    } catch (error) {
      console.error(`${name}: ${error.message}`);
      process.exitCode = 1;
    }
  }
}

Promise.all(Array.from({ length: task.cores }, work));
