"""Train one point or sweep many: `python train.py -m method=lora,qlora lora.r=4,8,16`."""

from tunesweep.train import main

if __name__ == "__main__":
    main()
